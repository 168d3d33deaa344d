#include <gtest/gtest.h>

#include "net/netback/rx_ring.hpp"
#include "net/netback/tx_ring.hpp"
#include "support/net_guest.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;
using test::ethernet;

class RingsTest : public ::testing::Test {
 protected:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBufferBytes * 4);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(4);
  BufferPool pool_{memory_.data(), dma_, 4};
  test::FakeXen xen_{pool_};
  test::Guest guest_{xen_, 1};

  netif_tx_request_t& put(netif_tx_request_t request) {
    auto& slot = guest_.request(guest_.tx_requests_++);
    slot = request;
    guest_.tx().req_prod = guest_.tx_requests_;
    return slot;
  }
  static netif_tx_request_t piece(std::uint16_t size, std::uint16_t flags = 0,
                                  std::uint16_t offset = 0) {
    netif_tx_request_t request{};
    request.gref = 100;
    request.size = size;
    request.flags = flags;
    request.offset = offset;
    return request;
  }
  std::optional<Hostile> verdict() {
    TxRing ring(guest_.tx_page());
    TxPacket packet;
    const auto read = ring.next(packet);
    if (read) return std::nullopt;
    return read.error();
  }
};

TEST_F(RingsTest, PiecesOfAPacketAddUp) {
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 9000), 4000));
  TxRing ring(guest_.tx_page());
  TxPacket packet;
  ASSERT_TRUE(ring.next(packet).value());
  EXPECT_EQ(packet.slots, 3);
  ASSERT_EQ(packet.count, 3);
  EXPECT_EQ(packet.length, 9000u);
  EXPECT_EQ(packet.fragments[0].length, 4000);
  EXPECT_EQ(packet.fragments[2].length, 1000);
  EXPECT_FALSE(ring.next(packet).value());
}

TEST_F(RingsTest, AnswersComeInOrderAndOnlyWhenAllHoldersAreThrough) {
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(guest_.send(ethernet(2, 1, 100), 60));
  TxRing ring(guest_.tx_page());
  std::array<TxPacket, 3> packets;
  for (TxPacket& packet : packets)
    ASSERT_TRUE(ring.next(packet).value());
  ring.hold(packets[0].first, 1);
  ring.done(packets[1].first, TxStatus::okay);
  EXPECT_FALSE(ring.push());
  EXPECT_EQ(guest_.tx().rsp_prod, 0u);
  ring.done(packets[0].first, TxStatus::okay);
  EXPECT_FALSE(ring.push());
  ring.done(packets[0].first, TxStatus::error);
  EXPECT_TRUE(ring.push());
  EXPECT_EQ(guest_.tx().rsp_prod, 4u);
  ASSERT_TRUE(guest_.reap());
  EXPECT_EQ(guest_.statuses[NETIF_RSP_ERROR], 2u);
  EXPECT_EQ(guest_.statuses[NETIF_RSP_OKAY], 2u);
  EXPECT_EQ(guest_.unanswered(), 2u);
}

TEST_F(RingsTest, SegmentationAndItsSlotOfNoAnswer) {
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_GSO;
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV6;
  info.u.gso.size = 1440;
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 5000), 4096, NETTXF_csum_blank, info));
  TxRing ring(guest_.tx_page());
  TxPacket packet;
  ASSERT_TRUE(ring.next(packet).value());
  EXPECT_EQ(packet.gso, Gso::tcp_v6);
  EXPECT_EQ(packet.gso_size, 1440);
  EXPECT_TRUE(packet.checksum_blank);
  EXPECT_EQ(packet.slots, 3);
  ring.done(packet.first, TxStatus::okay);
  (void)ring.push();
  ASSERT_TRUE(guest_.reap());
  EXPECT_EQ(guest_.unanswered(), 0u);
}

TEST_F(RingsTest, HostileChainsAreFound) {
  put(piece(100, NETTXF_more_data));
  EXPECT_EQ(verdict(), Hostile::chain_cut);
  put(piece(200));
  EXPECT_EQ(verdict(), Hostile::bad_fragment) << "a piece larger than the packet";
}

TEST_F(RingsTest, HostilePiecesAreFound) {
  put(piece(100, 0, 4000));
  EXPECT_EQ(verdict(), Hostile::bad_fragment) << "across the page";
}

TEST_F(RingsTest, EndlessChainsAreFound) {
  for (int i = 0; i < 40; ++i)
    put(piece(i == 0 ? 60000 : 100, NETTXF_more_data));
  EXPECT_EQ(verdict(), Hostile::chain_too_long);
}

TEST_F(RingsTest, WildIndexesAreFound) {
  guest_.tx().req_prod = kRingSlots + 1;
  EXPECT_EQ(verdict(), Hostile::ring_overflow);
  guest_.rx().req_prod = 0x80000000;
  RxRing rx(guest_.rx_page());
  EXPECT_EQ(rx.available().error(), Hostile::ring_overflow);
}

TEST_F(RingsTest, HostileExtrasAreFound) {
  put(piece(100, NETTXF_extra_info));
  EXPECT_EQ(verdict(), Hostile::chain_cut);
  auto& slot = put({});
  EXPECT_EQ(verdict(), Hostile::bad_extra) << "type 0";
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_GSO;
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
  std::memcpy(&slot, &info, sizeof info);
  EXPECT_EQ(verdict(), Hostile::bad_gso) << "segments of no bytes";
  info.u.gso.size = 1000;
  info.u.gso.type = 7;
  std::memcpy(&slot, &info, sizeof info);
  EXPECT_EQ(verdict(), Hostile::bad_gso);
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
  info.flags = XEN_NETIF_EXTRA_FLAG_MORE;
  std::memcpy(&slot, &info, sizeof info);
  std::memcpy(&put({}), &info, sizeof info);
  EXPECT_EQ(verdict(), Hostile::bad_extra) << "twice the same";
}

TEST_F(RingsTest, OddButHarmlessPacketsAreDroppable) {
  put(piece(13));
  TxRing ring(guest_.tx_page());
  TxPacket packet;
  ASSERT_TRUE(ring.next(packet).value());
  EXPECT_TRUE(packet.droppable) << "no Ethernet header";
  for (int i = 0; i < 19; ++i)
    put(piece(i == 0 ? 1900 : 100, i < 18 ? NETTXF_more_data : 0));
  ASSERT_TRUE(ring.next(packet).value());
  EXPECT_TRUE(packet.droppable) << "more pieces than we take";
  EXPECT_EQ(packet.slots, 19);
}

/// Dies after `stores` stores of push(), as seen by the ring: simulated by redoing them by hand.
TEST_F(RingsTest, ATornAnswerIsCompletedAndNotSentAgain) {
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_GSO;
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
  info.u.gso.size = 1440;
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 5000), 4096, 0, info));
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 100)));
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 200)));
  for (int written = 0; written <= 3; ++written) {
    const test::Page before = *reinterpret_cast<test::Page*>(guest_.tx_page());
    // The earlier incarnation announced the first two packets (four slots), wrote `written`
    // responses, and died.
    SharedRing shared(guest_.tx_page(), sizeof(netif_tx_request_t));
    shared.announce(4);
    const std::array<std::uint16_t, 4> ids{guest_.request(0).id, 0, guest_.request(2).id,
                                           guest_.request(3).id};
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(written); ++i) {
      if (i == 1) {
        shared.write(i, std::int16_t{NETIF_RSP_NULL}, 2);
      } else {
        shared.write(i, netif_tx_response_t{.id = ids[i], .status = NETIF_RSP_OKAY});
      }
    }
    TxRing ring(guest_.tx_page());
    EXPECT_EQ(ring.adopt().value(), 1u);
    EXPECT_EQ(guest_.tx().rsp_prod, 4u);
    EXPECT_EQ(guest_.tx().ring[0].rsp.id, ids[0]);
    EXPECT_EQ(guest_.tx().ring[1].rsp.status, NETIF_RSP_NULL);
    EXPECT_EQ(guest_.tx().ring[3].rsp.id, ids[3]);
    TxPacket packet;
    ASSERT_TRUE(ring.next(packet).value());
    EXPECT_EQ(packet.length, 200u);
    if (written < 3) std::memcpy(guest_.tx_page(), &before, sizeof before);
  }
  ASSERT_TRUE(guest_.reap());
  EXPECT_EQ(guest_.unanswered(), 1u);
}

TEST_F(RingsTest, ForeignNotesAreIgnored) {
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 100)));
  std::memset(guest_.tx_page() + 24, 0x11, 8);
  TxRing ring(guest_.tx_page());
  EXPECT_EQ(ring.adopt().value(), 1u);
  EXPECT_EQ(guest_.tx().rsp_prod, 0u);
}

TEST_F(RingsTest, TornReceiveBuffersGoBackAsErrors) {
  SharedRing shared(guest_.rx_page(), sizeof(netif_rx_request_t));
  shared.announce(2);
  shared.write(0, netif_rx_response_t{.id = 0, .offset = 0, .flags = 0, .status = 64});
  RxRing ring(guest_.rx_page());
  EXPECT_EQ(ring.adopt().value(), 2u);
  std::vector<test::Received> got;
  ASSERT_TRUE(guest_.receive(got));
  EXPECT_TRUE(got.empty());
  EXPECT_EQ(guest_.bad_packets, 2u);
  EXPECT_EQ(ring.available().value(), kRingSlots);
}

TEST_F(RingsTest, NothingIsVisibleBeforePublish) {
  RxRing ring(guest_.rx_page());
  EXPECT_EQ(ring.available().value(), kRingSlots);
  const abi::GrantRef first = ring.take();
  EXPECT_EQ(first, test::Guest::ref_of(kRingSlots));
  ring.fill(0, 0, 60);
  EXPECT_EQ(guest_.rx().rsp_prod, 0u);
  EXPECT_TRUE(ring.publish());
  EXPECT_EQ(guest_.rx().rsp_prod, 1u);
  EXPECT_EQ(ring.available().value(), kRingSlots - 1);
}

TEST_F(RingsTest, EventsAreAskedForOnlyWhenNeeded) {
  TxRing ring(guest_.tx_page());
  EXPECT_FALSE(ring.sleep());
  EXPECT_EQ(guest_.tx().req_event, 1u);
  ASSERT_TRUE(guest_.send(ethernet(2, 1, 100)));
  EXPECT_TRUE(ring.sleep());
  RxRing rx(guest_.rx_page());
  EXPECT_TRUE(rx.sleep(5));
  EXPECT_FALSE(rx.sleep(kRingSlots + 3));
  EXPECT_EQ(guest_.rx().req_event, kRingSlots + 3);
}

}  // namespace
}  // namespace ppvmm::net

#include "net/netback/data_path.hpp"

#include <gtest/gtest.h>

#include "support/net_guest.hpp"
#include "support/net_wire.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;
using test::ethernet;
using test::FakeXen;
using test::Guest;
using test::Received;

constexpr std::uint64_t kMs = 1'000'000;

class DataPathTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 600;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(kBuffers);
  BufferPool pool_{memory_.data(), dma_, kBuffers};
  FakeXen xen_{pool_};
  std::unique_ptr<DataPath> path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  Guest a_{xen_, 1};
  Guest b_{xen_, 2};
  Guest c_{xen_, 3};
  test::Wire wire_;
  std::uint64_t now_{1000 * kMs};
  std::map<abi::DomId, PortId> ports_;

  static VifSettings settings(const Guest& guest) {
    return {.domid = guest.domid(),
            .handle = 0,
            .mac = test::mac(static_cast<std::uint8_t>(guest.domid())),
            .rate = {},
            .only_own = false,
            .ipv4 = {},
            .scatter_gather = true,
            .abilities = {true, true, true, true}};
  }
  void connect(Guest& guest) { connect(guest, settings(guest)); }
  void connect(Guest& guest, VifSettings what) {
    const QueuePages pages{.tx = guest.tx_page(), .rx = guest.rx_page()};
    const auto port = path_->add_vif(std::move(what), {&pages, 1}, now_);
    ASSERT_TRUE(port);
    ports_[guest.domid()] = *port;
  }
  void run() {
    for (const auto& [domid, port] : ports_)
      path_->kick(port, 0);
    for (int i = 0; i < 100 && path_->run(now_); ++i) {
    }
  }
  std::vector<Offence> offences() {
    std::vector<Offence> taken;
    path_->take_offences(taken);
    return taken;
  }
  static std::vector<Received> got(Guest& guest) {
    std::vector<Received> packets;
    EXPECT_TRUE(guest.receive(packets));
    return packets;
  }
};

TEST_F(DataPathTest, PacketsTravelBetweenGuestsAndAreAnsweredThen) {
  connect(a_);
  connect(b_);
  for (const std::size_t length : {60u, 1514u, 4096u, 4097u, 9014u, 65000u}) {
    const Bytes packet = ethernet(2, 1, length, static_cast<unsigned>(length));
    ASSERT_TRUE(a_.send(packet, 3777));
    run();
    const auto packets = got(b_);
    ASSERT_EQ(packets.size(), 1u) << length;
    EXPECT_EQ(packets[0].bytes, packet);
    ASSERT_TRUE(a_.reap());
    EXPECT_EQ(a_.unanswered(), 0u);
  }
  EXPECT_EQ(path_->vif(ports_[2])->statistics.rx_packets, 6u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(DataPathTest, OnePassCostsTwoCopyCalls) {
  connect(a_);
  connect(b_);
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(a_.send(ethernet(2, 1, 1000)));
    ASSERT_TRUE(b_.send(ethernet(1, 2, 1000)));
  }
  path_->kick(1, 0);
  path_->kick(2, 0);
  (void)path_->run(now_);
  EXPECT_EQ(xen_.calls, 2u);
  EXPECT_EQ(got(a_).size(), 30u);
  EXPECT_EQ(got(b_).size(), 30u);
}

TEST_F(DataPathTest, OffloadsTravelAsTheyAre) {
  connect(a_);
  connect(b_);
  Bytes packet = ethernet(2, 1, 6000);
  std::span<std::byte> all(packet);
  store16(all, 12, 0x0800);
  packet[14] = std::byte{0x45};
  store16(all, 20, 0);
  packet[23] = std::byte{6};
  packet[46] = std::byte{0x50};
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_GSO;
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
  info.u.gso.size = 1448;
  ASSERT_TRUE(a_.send(packet, 4096, NETTXF_csum_blank | NETTXF_data_validated, info));
  run();
  auto packets = got(b_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
  EXPECT_EQ(packets[0].gso_size, 1448);
  EXPECT_EQ(packets[0].gso_type, XEN_NETIF_GSO_TYPE_TCPV4);
  EXPECT_TRUE(packets[0].flags & NETRXF_csum_blank);

  // A receiver that can do nothing of it gets segments.
  VifSettings poor = settings(c_);
  poor.scatter_gather = false;
  poor.abilities = {};
  connect(c_, poor);
  packet[5] = std::byte{3};
  ASSERT_TRUE(a_.send(packet, 4096, NETTXF_csum_blank | NETTXF_data_validated, info));
  run();
  packets = got(c_);
  EXPECT_EQ(packets.size(), 5u);
  for (const Received& each : packets)
    EXPECT_EQ(each.flags & NETRXF_csum_blank, 0);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(DataPathTest, BroadcastReachesAllOthersAndIsAnsweredOnce) {
  connect(a_);
  connect(b_);
  connect(c_);
  path_->set_nic(&wire_);
  const Bytes packet = ethernet(0xFF, 1, 64);
  ASSERT_TRUE(a_.send(packet));
  run();
  EXPECT_EQ(got(b_).size(), 1u);
  EXPECT_EQ(got(c_).size(), 1u);
  EXPECT_TRUE(got(a_).empty());
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 1u) << "the wire has it not yet";
  wire_.send_all(*path_);
  run();
  ASSERT_EQ(wire_.sent.size(), 1u);
  EXPECT_EQ(wire_.sent[0], packet);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
}

TEST_F(DataPathTest, AGuestThatFloodsWithoutEndTakesNobodysBuffers) {
  connect(a_);
  connect(b_);
  connect(c_);
  std::size_t flooded = 0;
  for (int round = 0; round < 50; ++round) {
    while (a_.send(ethernet(0xFF, 1, 60))) {
    }
    ASSERT_TRUE(c_.send(ethernet(2, 3, 100)));
    run();
    ASSERT_TRUE(a_.reap() && c_.reap());
    std::size_t wanted = 0;
    for (const Received& packet : got(b_))
      (packet.bytes.size() == 100 ? wanted : flooded) += 1;
    EXPECT_EQ(wanted, 1u) << round;
    (void)got(c_);
    now_ += kMs;
  }
  EXPECT_GE(flooded, 100u);
  EXPECT_LE(flooded, 160u);
  EXPECT_GT(path_->statistics().storm_dropped, 1000u);
}

TEST_F(DataPathTest, TheWireDelivers) {
  connect(a_);
  path_->set_nic(&wire_);
  const Bytes packet = ethernet(1, 99, 1514);
  wire_.deliver(pool_, *path_, packet);
  run();
  const auto packets = got(a_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
}

TEST_F(DataPathTest, AReceiverWithoutBuffersDelaysOthersForABoundedTimeOnly) {
  connect(a_);
  connect(b_);
  connect(c_);
  // b takes 256 packets into its buffers and then gives no more.
  for (int i = 0; i < 300; ++i) {
    if (!a_.send(ethernet(2, 1, 60))) {
      run();
      ASSERT_TRUE(a_.reap());
      (void)a_.send(ethernet(2, 1, 60));
    }
  }
  run();
  ASSERT_TRUE(a_.reap());
  ASSERT_TRUE(a_.send(ethernet(3, 1, 60)));
  run();
  EXPECT_EQ(got(c_).size(), 1u) << "what goes elsewhere goes";
  EXPECT_GT(a_.unanswered(), 0u) << "what waits is not answered";
  const auto deadline = path_->deadline(now_);
  ASSERT_TRUE(deadline);
  EXPECT_LE(*deadline, now_ + DataPath::kPatienceNs);
  now_ = *deadline;
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_GT(path_->vif(ports_[2])->statistics.rx_dropped_expired, 0u);
  // It recovers as soon as it gives buffers again.
  EXPECT_EQ(got(b_).size(), 256u);
  run();
  ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
  run();
  EXPECT_EQ(got(b_).size(), 1u);
}

TEST_F(DataPathTest, AHostileGuestIsReportedAndTheOthersGoOn) {
  connect(a_);
  connect(b_);
  connect(c_);
  c_.tx().req_prod = 100'000;
  ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
  ASSERT_TRUE(a_.send(ethernet(3, 1, 60)));
  run();
  const auto reported = offences();
  ASSERT_EQ(reported.size(), 1u);
  EXPECT_EQ(reported[0].port, ports_[3]);
  EXPECT_EQ(reported[0].reason, Hostile::ring_overflow);
  EXPECT_EQ(got(b_).size(), 1u);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  path_->remove_vif(ports_[3]);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(DataPathTest, RefusedGrantsAreErrorsAndThenHostile) {
  connect(a_);
  connect(b_);
  std::size_t failed = 0;
  for (std::uint16_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
    a_.request(a_.tx_requests_ - 1).gref = 7;
    run();
    ASSERT_TRUE(a_.reap());
    failed = a_.statuses[NETIF_RSP_ERROR];
    if (!offences().empty()) break;
  }
  EXPECT_GE(failed, 10u);
  EXPECT_LE(failed, 16u);
  EXPECT_TRUE(got(b_).empty());
}

TEST_F(DataPathTest, EventsWithoutEndAndWithoutWorkAreHostile) {
  path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{.idle_events = 50});
  connect(a_);
  connect(b_);
  const auto storm = [&](int events) {
    for (int i = 0; i < events; ++i) {
      path_->kick(ports_[1], 0);
      (void)path_->run(now_);
    }
    return !offences().empty();
  };
  EXPECT_FALSE(storm(40));
  ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
  EXPECT_FALSE(storm(40)) << "a packet makes up for it";
  EXPECT_TRUE(storm(20));
  EXPECT_TRUE(path_->vif(ports_[1])->hostile);
  EXPECT_FALSE(path_->vif(ports_[2])->hostile);
}

TEST_F(DataPathTest, RatesAreKept) {
  VifSettings slow = settings(a_);
  slow.rate = RateLimit{10'000, 10'000};
  connect(a_, slow);
  connect(b_);
  std::size_t bytes = 0;
  const std::uint64_t end = now_ + 1000 * kMs;
  while (now_ < end) {
    while (a_.send(ethernet(2, 1, 1000))) {
    }
    run();
    ASSERT_TRUE(a_.reap());
    for (const Received& packet : got(b_))
      bytes += packet.bytes.size();
    const auto next = path_->deadline(now_);
    ASSERT_TRUE(next);
    ASSERT_GT(*next, now_);
    now_ = *next;
  }
  EXPECT_NEAR(static_cast<double>(bytes), 1e6, 70e3);
}

TEST_F(DataPathTest, ALinkThatIsDownForLongIsNotWaitedFor) {
  connect(a_);
  path_->set_nic(&wire_);
  wire_.up = false;
  path_->link_changed({});
  ASSERT_TRUE(a_.send(ethernet(0xFF, 1, 60)));
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 1u);
  now_ += DataPath::kLinkPatienceNs + kMs;
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(path_->statistics().link_dropped, 1u);
}

TEST_F(DataPathTest, ACardThatIsStillToComeIsWaitedFor) {
  path_->expect_wire();
  connect(a_);
  for (unsigned i = 0; i < 20; ++i)
    ASSERT_TRUE(a_.send(ethernet(99, 1, 60 + i)));
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 20u);
  path_->set_nic(&wire_);
  run();
  wire_.send_all(*path_);
  run();
  EXPECT_EQ(wire_.sent.size(), 20u);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
}

TEST_F(DataPathTest, ADriverThatIsAwayHoldsPacketsAndLosesNone) {
  connect(a_);
  path_->set_nic(&wire_);
  for (unsigned i = 0; i < 20; ++i)
    ASSERT_TRUE(a_.send(ethernet(99, 1, 60 + i)));
  run();
  wire_.ring.clear();  // the driver forgot what it had
  path_->set_nic(nullptr);
  for (unsigned i = 20; i < 40; ++i)
    ASSERT_TRUE(a_.send(ethernet(99, 1, 60 + i)));
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 40u);
  path_->set_nic(&wire_);
  run();
  wire_.send_all(*path_);
  run();
  ASSERT_EQ(wire_.sent.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_EQ(wire_.sent[i].size(), 60 + i) << "in order";
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
}

TEST_F(DataPathTest, AnotherIncarnationSendsWhatWasNotAnswered) {
  connect(a_);
  connect(b_);
  path_->set_nic(&wire_);
  wire_.deliver(pool_, *path_, ethernet(1, 99, 60));  // so that the switch knows where 99 is
  run();
  for (unsigned i = 0; i < 50; ++i)
    ASSERT_TRUE(a_.send(ethernet(i % 2 == 0 ? 99 : 2, 1, 60 + i)));
  run();
  EXPECT_EQ(got(b_).size(), 25u);
  // It dies with everything it had; another one finds the rings.
  wire_.ring.clear();
  path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  ports_.clear();
  connect(a_);
  connect(b_);
  EXPECT_EQ(path_->vif(ports_[1])->statistics.tx_unanswered, 50u);
  path_->set_nic(&wire_);
  run();
  wire_.send_all(*path_);
  run();
  EXPECT_EQ(wire_.sent.size(), 25u);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(a_.statuses[NETIF_RSP_OKAY], 50u);
}

TEST_F(DataPathTest, AnotherIncarnationMayBeToldToLoseIt) {
  connect(a_);
  path_->set_nic(&wire_);
  for (unsigned i = 0; i < 30; ++i)
    ASSERT_TRUE(a_.send(ethernet(99, 1, 60 + i)));
  run();
  wire_.ring.clear();
  path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  ports_.clear();
  VifSettings forgetful = settings(a_);
  forgetful.lose_unanswered = true;
  connect(a_, forgetful);
  path_->set_nic(&wire_);
  run();
  wire_.send_all(*path_);
  EXPECT_TRUE(wire_.sent.empty());
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(a_.statuses[NETIF_RSP_DROPPED], 30u);
  // What comes afterwards is sent.
  ASSERT_TRUE(a_.send(ethernet(99, 1, 60)));
  run();
  wire_.send_all(*path_);
  run();
  EXPECT_EQ(wire_.sent.size(), 1u);
}

TEST_F(DataPathTest, RemovedGuestsAreNotAnsweredAndTheirPortIsReused) {
  connect(a_);
  path_->set_nic(&wire_);
  ASSERT_TRUE(a_.send(ethernet(99, 1, 60)));
  run();
  path_->remove_vif(ports_[1]);
  ports_.clear();
  connect(b_);
  EXPECT_EQ(ports_[2], 1);
  ASSERT_TRUE(b_.send(ethernet(99, 2, 60)));
  wire_.send_all(*path_);
  run();
  ASSERT_TRUE(b_.reap());
  EXPECT_EQ(b_.unanswered(), 1u) << "the other's packet does not answer ours";
}

}  // namespace
}  // namespace ppvmm::net

#include <algorithm>

#include "rig_82574.hpp"

namespace ppvmm::net::nic::e1000e {
namespace {

class E1000eTest : public Rig {};

TEST_F(E1000eTest, StartsWithLinkAddressAndAFullRing) {
  start();
  EXPECT_EQ(nic_->mac(), (MacAddress{0x00, 0x52, 0x54, 0x12, 0x34, 0x56}));
  EXPECT_EQ(nic_->link(), (NicLink{.up = true, .full_duplex = true, .speed_mbps = 1000}));
  const NicHealth health = nic_->health();
  EXPECT_TRUE(health.present);
  EXPECT_FALSE(health.device_error);
  EXPECT_EQ(health.rx_posted, E1000e::kRing - 1);
  EXPECT_EQ(device_.link_negotiations, 0u);
  EXPECT_EQ(device_.faults, 0u);
  // 10.2.2.1: the link signal is recognised, and no speed is guessed or forced.
  EXPECT_EQ(device_.get(Reg::ctrl) & (ctrl::kLinkUp | ctrl::kAutoSpeed | ctrl::kForceSpeed),
            ctrl::kLinkUp);
  EXPECT_EQ(driver_for(0x8086, 0x10D3)->create, &E1000e::create);
  EXPECT_EQ(driver_for(0x8086, 0x10D4), nullptr);
}

TEST_F(E1000eTest, FramesLeaveInOrderAndComeBackWhenDone) {
  start();
  std::vector<std::vector<std::byte>> all;
  for (std::uint64_t i = 0; i < 100; ++i) {
    all.push_back(packet(17 + i * 14, static_cast<unsigned>(i)));
    ASSERT_EQ(nic_->transmit(frame(all.back(), i, i * 40 % 4000)), TransmitResult::accepted);
  }
  EXPECT_TRUE(device_.sent.empty());
  nic_->flush();
  EXPECT_EQ(device_.tail_writes, 2u);  // one at the start
  serve();
  ASSERT_EQ(device_.sent.size(), 100u);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(device_.sent[i].bytes, all[i]) << i;
    EXPECT_EQ(device_.sent[i].options, 0u);
    EXPECT_EQ(client_.tags[i], i);
  }
  EXPECT_EQ(nic_->statistics().tx_packets, 100u);
  EXPECT_EQ(nic_->health().accepted, nic_->health().sent);
  client_.last_sent.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, 700u - E1000e::kRing);
}

TEST_F(E1000eTest, AFullRingSaysSoAndTellsWhenThereIsRoom) {
  start();
  device_.stuck = true;
  std::uint64_t taken = 0;
  for (;; ++taken) {
    Frame one = frame(packet(60), taken);
    const TransmitResult result = nic_->transmit(std::move(one));
    if (result == TransmitResult::full) {
      EXPECT_TRUE(one);  // still the caller's
      break;
    }
    ASSERT_EQ(result, TransmitResult::accepted);
    ASSERT_FALSE(one);
  }
  EXPECT_EQ(taken, E1000e::kRing - 1);
  nic_->flush();
  serve();
  EXPECT_EQ(client_.rooms, 0u);
  device_.finish();
  serve();
  EXPECT_EQ(client_.rooms, 1u);
  EXPECT_EQ(device_.sent.size(), taken);
  EXPECT_EQ(client_.tags.size(), taken);
  EXPECT_TRUE(std::ranges::is_sorted(client_.tags));
}

TEST_F(E1000eTest, TheRingWrapsWithFramesOfManyPieces) {
  start();
  ASSERT_TRUE(nic_->set_mtu(9000));
  for (unsigned round = 0; round < 300; ++round) {
    const auto bytes = packet(9000, round);
    Frame one = pool_.frame();
    std::size_t done = 0;
    for (std::size_t i = 0; i < kFragmentsMax; ++i) {
      const std::size_t piece = i + 1 == kFragmentsMax ? bytes.size() - done : 500;
      Buffer buffer = pool_.take();
      std::copy_n(bytes.begin() + static_cast<long>(done), piece, buffer.data() + 10);
      ASSERT_TRUE(one.append(std::move(buffer), 10, piece));
      done += piece;
    }
    ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted) << round;
    nic_->flush();
    serve();
    ASSERT_EQ(device_.sent.back().bytes, bytes) << round;
    device_.sent.clear();
  }
  EXPECT_EQ(client_.tags.size(), 300u);
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(E1000eTest, ABlankChecksumIsTheDevicesToFill) {
  start();
  const auto bytes = tcp_packet(false, 100);
  for (int i = 0; i < 3; ++i) {
    Frame one = frame(bytes);
    one.offload() = {.checksum_blank = true, .checksum_start = 34, .checksum_offset = 16};
    ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted);
  }
  nic_->flush();
  ASSERT_EQ(device_.sent.size(), 3u);
  for (const auto& sent : device_.sent) {
    EXPECT_EQ(sent.bytes, bytes);
    EXPECT_EQ(sent.options, tx::kInsertL4Checksum);
    EXPECT_EQ(sent.context[1], 34u | 50u << 8);  // TUCSS, TUCSO; TUCSE 0: to the end
    EXPECT_FALSE(sent.segment);
  }
  // One context descriptor for the three.
  EXPECT_EQ(nic_->health().tx_tail, 4u);

  Frame outside = frame(bytes);
  outside.offload() = {.checksum_blank = true, .checksum_start = 200, .checksum_offset = 16};
  EXPECT_EQ(nic_->transmit(std::move(outside)), TransmitResult::refused);
  Frame too_far = frame(packet(400));
  too_far.offload() = {.checksum_blank = true, .checksum_start = 300, .checksum_offset = 16};
  EXPECT_EQ(nic_->transmit(std::move(too_far)), TransmitResult::refused);
  EXPECT_EQ(nic_->statistics().tx_refused, 2u);
}

TEST_F(E1000eTest, SegmentationGetsThePrototypeHeadersItWants) {
  for (const bool v6 : {false, true}) {
    start();
    device_.sent.clear();
    const auto bytes = tcp_packet(v6, 20'000);
    Frame one = frame(bytes, 0, 4000);  // the headers lie in one piece, the payload in many
    one.offload() = {.checksum_blank = true,
                     .gso = v6 ? Gso::tcp_v6 : Gso::tcp_v4,
                     .gso_size = 1440,
                     .checksum_start = static_cast<std::uint16_t>(v6 ? 54 : 34),
                     .checksum_offset = 16};
    const Frame kept = one.share();
    ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted);
    nic_->flush();
    ASSERT_EQ(device_.sent.size(), 1u);
    const auto& sent = device_.sent[0];
    EXPECT_TRUE(sent.segment);
    EXPECT_EQ(sent.options, tx::kInsertL4Checksum | (v6 ? 0 : tx::kInsertIpChecksum));
    const std::uint32_t l4 = v6 ? 54 : 34;
    EXPECT_EQ(sent.context[0], v6 ? 0u : 14u | 24u << 8 | 33u << 16);
    EXPECT_EQ(sent.context[1], l4 | (l4 + 16) << 8);
    EXPECT_EQ(sent.context[2] & 0xFFFFF, 20'000u);
    EXPECT_EQ(sent.context[2] >> 24, v6 ? 0x25u : 0x27u);  // TCP, IP, TSE; DEXT
    EXPECT_EQ(sent.context[3] >> 8 & 0xFF, l4 + 20);
    EXPECT_EQ(sent.context[3] >> 16, 1440u);

    auto expected = bytes;
    put_big16(expected, v6 ? 18 : 16, 0);
    if (!v6) put_big16(expected, 24, 0);
    const auto addresses = std::span{expected}.subspan(v6 ? 22 : 26, v6 ? 32 : 8);
    put_big16(expected, l4 + 16, checksum_add(addresses, protocol::kTcp));
    EXPECT_EQ(sent.bytes, expected);
    EXPECT_EQ(bytes_of(kept), bytes);  // the caller's bytes are as they were
  }
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(E1000eTest, HeadersScatteredOverPiecesAreFound) {
  start();
  const auto bytes = tcp_packet(false, 3000);
  Frame one = pool_.frame();
  std::size_t done = 0;
  for (const std::size_t piece : {5u, 14u, 1u, 30u, 4u, 1000u, 2000u}) {
    Buffer buffer = pool_.take();
    std::copy_n(bytes.begin() + static_cast<long>(done), piece, buffer.data());
    ASSERT_TRUE(one.append(std::move(buffer), 0, piece));
    done += piece;
  }
  ASSERT_EQ(done, bytes.size());
  one.offload() = {.checksum_blank = true, .gso = Gso::tcp_v4, .gso_size = 1000};
  ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted);
  nic_->flush();
  ASSERT_EQ(device_.sent.size(), 1u);
  EXPECT_TRUE(std::equal(bytes.begin() + 54, bytes.end(), device_.sent[0].bytes.begin() + 54));
  EXPECT_EQ(device_.sent[0].bytes.size(), bytes.size());
}

TEST_F(E1000eTest, WhatCannotBeSentIsRefused) {
  start();
  EXPECT_EQ(nic_->transmit(frame(packet(16))), TransmitResult::refused);
  EXPECT_EQ(nic_->transmit(frame(packet(1519))), TransmitResult::refused);
  EXPECT_EQ(nic_->transmit(frame(packet(1518))), TransmitResult::accepted);
  auto not_tcp = frame(packet(3000));
  not_tcp.offload() = {.gso = Gso::tcp_v4, .gso_size = 1000};
  EXPECT_EQ(nic_->transmit(std::move(not_tcp)), TransmitResult::refused);
  auto wrong_kind = frame(tcp_packet(false, 3000));
  wrong_kind.offload() = {.gso = Gso::tcp_v6, .gso_size = 1000};
  EXPECT_EQ(nic_->transmit(std::move(wrong_kind)), TransmitResult::refused);
  auto no_size = frame(tcp_packet(false, 3000));
  no_size.offload() = {.gso = Gso::tcp_v4, .gso_size = 0};
  EXPECT_EQ(nic_->transmit(std::move(no_size)), TransmitResult::refused);
  auto too_large = frame(tcp_packet(false, 3000));
  too_large.offload() = {.gso = Gso::tcp_v4, .gso_size = 1500};
  EXPECT_EQ(nic_->transmit(std::move(too_large)), TransmitResult::refused);
  EXPECT_FALSE(nic_->set_mtu(9001));
}

TEST_F(E1000eTest, PacketsArriveWhole) {
  start();
  ASSERT_TRUE(nic_->set_mtu(9000));
  std::vector<std::vector<std::byte>> all;
  for (unsigned i = 0; i < 600; ++i) {
    all.push_back(packet(60 + (i * 977) % 8900, i));
    ASSERT_TRUE(device_.arrive(all.back())) << i;
    if (i % 50 == 49) {
      serve();
      ASSERT_EQ(client_.in.size(), 50u);
      for (std::size_t n = 0; n < 50; ++n)
        ASSERT_EQ(bytes_of(client_.in[n]), all[i - 49 + n]);
      client_.in.clear();
    }
  }
  EXPECT_EQ(device_.faults, 0u);
  EXPECT_EQ(nic_->statistics().rx_packets, 600u);
  EXPECT_EQ(nic_->health().rx_posted, E1000e::kRing - 1);
}

TEST_F(E1000eTest, VerifiedChecksumsAreToldOnlyWhenVerified) {
  start();
  const auto bytes = packet(100);
  const std::uint8_t checked = rx_status::kTcpChecked;
  ASSERT_TRUE(device_.arrive(bytes, checked));
  ASSERT_TRUE(device_.arrive(bytes, checked | rx_status::kIgnoreChecksum));
  ASSERT_TRUE(device_.arrive(bytes, 0));
  ASSERT_TRUE(device_.arrive(bytes, rx_status::kUdpChecked));
  ASSERT_TRUE(device_.arrive(bytes, checked, rx_error::kTcpUdp));
  ASSERT_TRUE(device_.arrive(bytes, checked, rx_error::kFrame));
  serve();
  ASSERT_EQ(client_.in.size(), 5u);  // the last one was damaged on the wire
  const std::array expected{true, false, false, true, false};
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(client_.in[i].offload().data_validated, expected[i]) << i;
  EXPECT_EQ(nic_->statistics().rx_errors, 1u);
}

TEST_F(E1000eTest, FiltersFollowTheSettings) {
  start();
  auto other = packet(64);
  other[5] ^= std::byte{1};
  auto group = packet(64);
  const MacAddress address{0x33, 0x33, 0, 0, 0xAB, 0xCD};
  for (std::size_t i = 0; i < 6; ++i)
    group[i] = static_cast<std::byte>(address[i]);
  auto all = packet(64);
  std::fill_n(all.begin(), 6, std::byte{0xFF});

  EXPECT_TRUE(device_.arrive(all));
  EXPECT_FALSE(device_.arrive(other));
  EXPECT_FALSE(device_.arrive(group));
  nic_->set_multicast(std::span{&address, 1});
  EXPECT_TRUE(device_.arrive(group));
  EXPECT_FALSE(device_.arrive(other));
  nic_->set_promiscuous(true);
  EXPECT_TRUE(device_.arrive(other));
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_TRUE(device_.arrive(other));  // settings outlive a restart
  nic_->set_promiscuous(false);
  EXPECT_TRUE(device_.arrive(group));
  nic_->set_multicast({});
  EXPECT_FALSE(device_.arrive(group));
}

TEST_F(E1000eTest, TheLinkIsFollowed) {
  start();
  device_.plug(false);
  serve();
  ASSERT_EQ(client_.links.size(), 1u);
  EXPECT_FALSE(client_.links[0].up);
  EXPECT_FALSE(nic_->health().link_up);
  device_.plug(true);
  serve();
  ASSERT_EQ(client_.links.size(), 2u);
  EXPECT_TRUE(client_.links[1].up);
  EXPECT_EQ(nic_->statistics().link_changes, 2u);
}

TEST_F(E1000eTest, ForeignInterruptsAndQuietOnesDoNothing) {
  start();
  device_.raise(1u << 9);  // MDIO, which nobody asked for
  EXPECT_FALSE(device_.interrupting());
  EXPECT_FALSE(nic_->on_interrupt());
}

TEST_F(E1000eTest, ABudgetKeepsTheDeviceQuietUntilAllIsDone) {
  start();
  for (unsigned i = 0; i < 10; ++i)
    ASSERT_TRUE(device_.arrive(packet(64, i)));
  ASSERT_TRUE(nic_->on_interrupt());
  EXPECT_EQ(nic_->poll(4), 4u);
  ASSERT_TRUE(device_.arrive(packet(64)));
  EXPECT_FALSE(device_.interrupting());
  EXPECT_EQ(nic_->poll(4), 4u);
  EXPECT_EQ(nic_->poll(4), 3u);
  // What came while it was quiet is announced again, once, and finds nothing.
  serve();
  EXPECT_EQ(client_.in.size(), 11u);
}

}  // namespace
}  // namespace ppvmm::net::nic::e1000e

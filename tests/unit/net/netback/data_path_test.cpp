// Packets on their ways between guests and the wire.
#include "data_path_rig.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;
using test::ethernet;

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
  Bytes packet = ipv4(2, 6, 6000);
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
  VifSettings poor = test::vif_settings(c_);
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

TEST_F(DataPathTest, RatesAreKept) {
  VifSettings slow = test::vif_settings(a_);
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

// Netback's probe, and what a netback that is made anew finds.
#include <gtest/gtest.h>

#include <algorithm>

#include "net/netback/data_path.hpp"
#include "support/grave.hpp"
#include "support/net_guest.hpp"
#include "support/net_wire.hpp"

namespace ppvmm::net {
namespace {

using test::ethernet;
using test::FakeXen;
using test::Guest;
using test::Received;

class AuditTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 600;
  static constexpr std::uint8_t kNetback = 2;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(kBuffers);
  std::vector<ReceiveNote> notes_ = std::vector<ReceiveNote>(kBuffers);
  BufferPool pool_{memory_.data(), dma_, kBuffers, notes_};
  FakeXen xen_{pool_};
  DataPath::Limits limits_;
  std::unique_ptr<DataPath> path_;
  std::vector<std::unique_ptr<DataPath>> dead_;
  Guest a_{xen_, 1};
  Guest b_{xen_, 2};
  test::Wire wire_;
  std::uint64_t now_{1'000'000'000};
  PortId port_a_{};
  PortId port_b_{};

  AuditTest() {
    pool_.enter(kNetback);
    be_made();
  }
  ~AuditTest() override {
    for (auto& each : dead_)
      ::ppvmm::test::bury(each);
  }
  PortId connect(Guest& guest) {
    const QueuePages pages{.tx = guest.tx_page(), .rx = guest.rx_page()};
    return path_->add_vif(test::vif_settings(guest), {&pages, 1}, now_).value_or(0);
  }
  void be_made() {
    limits_.first_generation = static_cast<std::uint16_t>(256 * dead_.size());
    path_ = std::make_unique<DataPath>(pool_, xen_, limits_);
    for (Frame& frame : pool_.recover())
      path_->received(std::move(frame));
    port_a_ = connect(a_);
    port_b_ = connect(b_);
    path_->set_nic(&wire_);
  }
  /// It dies with all that it held; the driver, whose frames are another's, goes on.
  void die() {
    for (const Frame& frame : wire_.ring)
      pool_.give(frame, 1);
    dead_.push_back(std::move(path_));
    pool_.reclaim_owned(kNetback);
    be_made();
  }
  void run() {
    path_->kick(port_a_, 0);
    path_->kick(port_b_, 0);
    for (int i = 0; i < 100 && path_->run(now_); ++i) {
    }
  }
  [[nodiscard]] bool fine() {
    const auto found = path_->audit(limits_);
    return !found.broken && found.bad.empty();
  }
};

TEST_F(AuditTest, AtWorkNothingIsWrong) {
  for (unsigned round = 0; round < 50; ++round) {
    for (unsigned i = 0; i < 7; ++i) {
      (void)a_.send(ethernet(i % 2 == 0 ? 2 : 99, 1, 60 + i));
      (void)b_.send(ethernet(1, 2, 9000));
    }
    wire_.deliver(pool_, *path_, ethernet(1, 99, 1514));
    run();
    EXPECT_TRUE(fine()) << round;
    EXPECT_TRUE(fine()) << round << ", again: packets with the driver are no standstill";
    if (round % 3 == 0) wire_.send_all(*path_);
    std::vector<Received> packets;
    ASSERT_TRUE(a_.receive(packets) && b_.receive(packets));
    ASSERT_TRUE(a_.reap() && b_.reap());
  }
}

TEST_F(AuditTest, ALostEventIsMadeUpFor) {
  run();
  ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
  while (path_->run(now_)) {
  }
  ASSERT_EQ(path_->vif(port_b_)->statistics.rx_packets, 0u) << "nobody said that it came";
  EXPECT_TRUE(fine());
  EXPECT_TRUE(fine());
  while (path_->run(now_)) {
  }
  EXPECT_EQ(path_->vif(port_b_)->statistics.rx_packets, 1u);
  EXPECT_TRUE(fine());
}

TEST_F(AuditTest, ARingThatIsNeverReadIsBad) {
  run();
  ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
  unsigned looks = 0;
  while (fine() && ++looks < 10) {
  }
  EXPECT_GE(looks, 2u);
  EXPECT_LT(looks, 5u);
  EXPECT_EQ(path_->audit(limits_).bad, std::vector{port_a_});
}

TEST_F(AuditTest, AnIndexThatIsNotOursIsBadForItsVifAlone) {
  run();
  a_.tx().rsp_prod += 3;
  auto found = path_->audit(limits_);
  EXPECT_FALSE(found.broken);
  EXPECT_EQ(found.bad, std::vector{port_a_});
  b_.rx().rsp_prod += 1;
  found = path_->audit(limits_);
  std::ranges::sort(found.bad);
  EXPECT_EQ(found.bad, (std::vector{port_a_, port_b_}));
}

TEST_F(AuditTest, LimitsThatChangedAreBroken) {
  run();
  ++limits_.reserve;
  EXPECT_TRUE(path_->audit(limits_).broken);
}

TEST_F(AuditTest, APacketOfNoPiecesBreaksItAndGoesNowhere) {
  path_->received(pool_.frame());
  run();
  EXPECT_TRUE(path_->audit(limits_).broken);
  EXPECT_TRUE(path_->audit(limits_).broken) << "until it is made anew";
  EXPECT_EQ(path_->statistics().from_wire, 0u);
  die();
  EXPECT_TRUE(fine());
}

TEST_F(AuditTest, ANewNetbackSendsWhatWasNotAnsweredAndDeliversWhatCame) {
  for (unsigned i = 0; i < 20; ++i)
    ASSERT_TRUE(a_.send(ethernet(99, 1, 60 + i)));
  run();
  ASSERT_EQ(wire_.ring.size(), 20u);
  // These came, and no pass has looked at them yet.
  for (unsigned i = 0; i < 5; ++i)
    wire_.deliver(pool_, *path_, ethernet(2, 99, 100 + i));
  die();
  EXPECT_EQ(path_->waiting(), 5u);
  EXPECT_EQ(path_->vif(port_a_)->statistics.tx_unanswered, 20u);
  run();
  std::vector<Received> packets;
  ASSERT_TRUE(b_.receive(packets));
  // Nobody knows where 99 is, so what a sent to it came here as well.
  std::erase_if(packets, [](const Received& packet) { return packet.bytes[11] != std::byte{99}; });
  ASSERT_EQ(packets.size(), 5u);
  for (unsigned i = 0; i < 5; ++i)
    EXPECT_EQ(packets[i].bytes, ethernet(2, 99, 100 + i));
  // What the driver had is sent and ends nothing; what was read again is sent and is answered.
  wire_.send_all(*path_);
  run();
  wire_.send_all(*path_);
  run();
  EXPECT_EQ(wire_.sent.size(), 40u);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_TRUE(fine());
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(AuditTest, NothingLeaksOverManyDeaths) {
  for (unsigned round = 0; round < 100; ++round) {
    for (unsigned i = 0; i < 10; ++i)
      (void)a_.send(ethernet(i % 2 == 0 ? 2 : 99, 1, 60 + i));
    wire_.deliver(pool_, *path_, ethernet(2, 99, 100));
    if (round % 2 == 0) run();
    die();
    run();
    wire_.send_all(*path_);
    run();
    std::vector<Received> packets;
    ASSERT_TRUE(b_.receive(packets));
    ASSERT_TRUE(a_.reap() && b_.reap());
    ASSERT_TRUE(fine()) << round;
  }
  run();
  wire_.send_all(*path_);
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

}  // namespace
}  // namespace ppvmm::net

// The data path with guests that do harm or nothing, and with a card or a life that goes.
#include "data_path_rig.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;
using test::ethernet;

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
  VifSettings forgetful = test::vif_settings(a_);
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

}  // namespace
}  // namespace ppvmm::net

// What recovery makes of regions in every condition, and how a set shrinks and grows.
#include "recovery_fixture.hpp"

namespace ppvmm::replication {
namespace {

TEST_F(RecoveryTest, NothingWasEverThere) {
  for (test::Memory& memory : memories_)
    memory = test::region_memory();
  EXPECT_EQ(recovered().error(), RecoveryError::nothing_there);
  EXPECT_EQ(recovered(false, false).error(), RecoveryError::nothing_there);
}

TEST_F(RecoveryTest, EachRegionAloneIsEnoughEvenIfItsBackupNeverRan) {
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(write("/a/" + std::to_string(i), "x"));
  follow(0);
  for (const bool first : {true, false}) {
    auto recovery = recovered(first, !first);
    ASSERT_TRUE(recovery);
    EXPECT_FALSE(recovery->stale);
    EXPECT_EQ(digest(*recovery), digest());
    EXPECT_EQ(recovery->replayed > 40, !first)
        << "backup 0 wrote checkpoints, backup 1 did nothing";
  }
}

TEST_F(RecoveryTest, RequestsLostOnPurposeStayLost) {
  ASSERT_TRUE(write("/a", "1"));
  // Two whole requests and half of a third wait when the next life begins.
  const auto ask = [&](const std::string& value) {
    return test::encode(MessageType::write, next_id_++, 0, std::string("/a") + '\0' + value);
  };
  const auto third = ask("4");
  const auto half = std::span{third}.first(third.size() / 2);
  for (const auto& bytes : {ask("2"), ask("3"), test::Bytes(half.begin(), half.end())})
    EXPECT_EQ(client_.requests.write(bytes), bytes.size());
  for (const bool lossy : {true, false}) {
    auto recovery = recovered();
    ASSERT_TRUE(recovery);
    primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                     PrimaryOptions{.geometry = kSmall, .key = kKey});
    ASSERT_TRUE(primary_->adopt(0, page_.shared()));
    if (lossy) {
      EXPECT_EQ(primary_->lose_requests(), 2u);
    }
  }
  EXPECT_FALSE(serve()) << "nothing may come of them, in this life or the next";
  const auto rest = std::span{third}.subspan(half.size());
  EXPECT_EQ(client_.requests.write(rest), rest.size());
  primary_->kick(0);
  EXPECT_TRUE(serve()) << "what came afterwards is served";
}

TEST_F(RecoveryTest, ARegionThatWasOutOfReachIsNotBelievedAfterwards) {
  ASSERT_TRUE(write("/a", "1"));
  // Region 0 gets a record that nobody was told of; then it is out of reach.
  const auto before = primary_->tail();
  test::Memory with_tail = memories_[0];
  ASSERT_TRUE(write("/a", "2"));
  std::swap(with_tail, memories_[0]);
  std::swap(with_tail, memories_[1]);  // region 1 has record "2" now, region 0 has not
  auto alone = recovered(true, false);
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->state.tail, before);
  // Region 1 comes back with its longer log: what it has more was not acknowledged in this history.
  auto both = recovered();
  ASSERT_TRUE(both);
  EXPECT_EQ(both->source, 0u);
  EXPECT_EQ(both->standing[1], Standing::left_out);
  EXPECT_EQ(both->state.tail, before);
}

TEST_F(RecoveryTest, AStuckBackupIsDroppedAndItsStateIsKnownToBeOld) {
  ASSERT_TRUE(write("/first", "x"));
  follow(0);
  // Backup 1 stands still; backup 0 follows.
  bool answered = true;
  for (int i = 0; i < 2000 && answered; ++i) {
    answered = write("/a", std::string(200, 'x'));
    follow(0);
  }
  ASSERT_FALSE(answered) << "the log must fill up";
  EXPECT_EQ(primary_->run(10), Primary::Run::log_full);
  now_ms_ += 1000;
  EXPECT_TRUE(serve()) << "the request waited in its ring";
  const auto reports = primary_->take_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, Report::Kind::backup_stuck);
  EXPECT_EQ(reports[0].backup, 1u);
  EXPECT_EQ(backups_[1]->step(1).state, BackupState::left);
  ASSERT_TRUE(write("/last", "x"));

  auto both = recovered();
  ASSERT_TRUE(both);
  EXPECT_EQ(both->source, 0u);
  EXPECT_EQ(both->standing[1], Standing::left_out);
  EXPECT_EQ(digest(*both), digest());
  auto old = recovered(false, true);
  ASSERT_TRUE(old) << "better than nothing";
  EXPECT_TRUE(old->stale);
}

TEST_F(RecoveryTest, ABackupIsStuckEvenIfSmallRecordsStillFit) {
  // Backup 1 stands still; backup 0 follows.
  const std::string large(1000, 'x');
  bool answered = true;
  for (int i = 0; i < 2000 && answered; ++i) {
    answered = write("/a", large);
    follow(0);
  }
  ASSERT_FALSE(answered) << "the log must fill up";
  // The clock is looked at all the time, and a tick alone would have room.
  for (int i = 0; i < 300 && !answered; ++i)
    answered = serve();
  EXPECT_TRUE(answered) << "the request waited in its ring";
  EXPECT_EQ(primary_->set().members(), 1u);
}

TEST_F(RecoveryTest, ABackupThatIsOnlySlowStays) {
  const std::string large(1000, 'x');
  for (int i = 0; i < 500; ++i) {
    bool answered = write("/a", large);
    follow(0);
    // As soon as it blocks the others it does a little, and time goes on.
    for (int step = 0; step < 50 && !answered; ++step) {
      static_cast<void>(backups_[1]->step(4));
      answered = serve();
    }
    ASSERT_TRUE(answered);
  }
  EXPECT_EQ(primary_->set().members(), 2u);
}

TEST_F(RecoveryTest, AnOldStateGoesOnAtRingsThatAreNewer) {
  ASSERT_TRUE(write("/first", "x"));
  const auto watch =
      test::encode(MessageType::watch, next_id_++, 0, std::string_view("/watched\0token\0", 15));
  EXPECT_EQ(client_.requests.write(watch), watch.size());
  primary_->kick(0);
  static_cast<void>(serve());
  follow(0);
  follow(1);
  test::Memory old = memories_[1];
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(write("/young", "x"));
  // All that is left is a copy from before; it does not know what the ring has seen since.
  memories_[1] = old;
  auto recovery = recovered(false, true);
  ASSERT_TRUE(recovery);
  primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                   PrimaryOptions{.geometry = kSmall, .key = kKey});
  ASSERT_TRUE(primary_->adopt(0, page_.shared()));
  ASSERT_TRUE(primary_->go_on_at_ring(0));
  EXPECT_TRUE(write("/last", "x")) << "dom0 is served";
  EXPECT_EQ(primary_->machine().statistics().watches, 1u) << "its watches are kept";
  // And a later life of the same replicas knows it all.
  auto later = recovered(false, true);
  ASSERT_TRUE(later);
  EXPECT_EQ(digest(*later), digest());
}

TEST_F(RecoveryTest, ADroppedBackupIsRefilledWhileServiceGoesOn) {
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(write("/n/" + std::to_string(i), "x"));
  follow(0);
  primary_->detach_region(1);
  ASSERT_EQ(primary_->take_reports().front().kind, Report::Kind::backup_lost);
  memories_[1] = test::region_memory();
  primary_->attach_region(1, memories_[1].shared());
  int steps = 0;
  while (primary_->maintain(64)) {
    ASSERT_TRUE(write("/n/" + std::to_string(++steps % 100), "y"));
  }
  EXPECT_GT(steps, 10) << "it must be a walk, not a jump";
  EXPECT_EQ(primary_->set().members(), 2u);
  auto second = recovered(false, true);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->stale);
  EXPECT_EQ(digest(*second), digest());
}

TEST_F(RecoveryTest, ADomainThatDiesWhileItIsIntroducedCanBeIntroducedAgain) {
  const auto introduce = [&] {
    const std::string payload{
        "7\0"
        "4096\0"
        "5\0",
        9};
    const auto request = test::encode(MessageType::introduce, next_id_++, 0, payload);
    EXPECT_EQ(client_.requests.write(request), request.size());
    primary_->kick(0);
    serve();
    return primary_->take_effects();
  };
  ASSERT_EQ(introduce().size(), 1u);
  ASSERT_TRUE(primary_->domain_dead(7));
  // The primary dies before the shell reports; its successor asks again.
  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                   PrimaryOptions{.geometry = kSmall, .key = kKey});
  ASSERT_TRUE(primary_->adopt(0, page_.shared()));
  serve();
  const auto again = primary_->take_effects();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].kind, store::Effect::Kind::attach_domain);
  ASSERT_TRUE(primary_->introduced(7, store::IntroduceResult::bad_ring, {}));

  ASSERT_EQ(introduce().size(), 1u);
  test::Memory page{4096};
  ASSERT_TRUE(primary_->introduced(7, store::IntroduceResult::attached, page.shared()));
  EXPECT_TRUE(serve()) << "OK is on the ring";
  EXPECT_NE(primary_->machine().connection_of(7), std::nullopt);
}

}  // namespace
}  // namespace ppvmm::replication

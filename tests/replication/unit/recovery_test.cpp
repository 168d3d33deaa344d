// What recovery makes of regions in every condition, and how a set shrinks and grows.
#include "replication/recovery.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "../memory.hpp"
#include "replication/backup.hpp"
#include "replication/primary.hpp"
#include "store/ring.hpp"
#include "support/message.hpp"

namespace ppvmm::replication {
namespace {

using store::MessageType;
using test::kSmall;

constexpr std::uint64_t kKey = 77;

/// A primary with two backups and domain 0 on its ring.
class RecoveryTest : public ::testing::Test {
 protected:
  std::array<test::Memory, kBackups> memories_{test::region_memory(), test::region_memory()};
  test::Memory page_{4096};
  store::ClientRing client_{*reinterpret_cast<store::RingPage*>(page_.bytes().data())};
  std::optional<Primary> primary_;
  std::array<std::optional<Backup>, kBackups> backups_;
  std::uint32_t next_id_{1};
  std::uint64_t now_ms_{1};

  RecoveryTest() {
    primary_.emplace(
        Restored{Replica{store::Machine{store::Options{}}, Ledger{kSmall.slots}, 0}, {}},
        ReplicaSet{}, PrimaryOptions{.geometry = kSmall, .key = kKey});
    for (std::size_t i = 0; i < kBackups; ++i)
      primary_->attach_region(i, memories_[i].shared());
    settle();
    EXPECT_TRUE(primary_->connect(0, 1, 1, page_.shared()));
    EXPECT_EQ(primary_->set().members(), 2u);
    static_cast<void>(primary_->take_reports());
    open_backups();
  }

  void settle() {
    while (primary_->maintain(1 << 20)) {
    }
  }
  void open_backups() {
    for (std::size_t i = 0; i < kBackups; ++i) {
      auto opened = Backup::open(*Region::open(memories_[i].shared()), store::Options{},
                                 CheckpointPolicy{.min_records = 8, .nodes_per_record = 1 << 20});
      ASSERT_TRUE(opened);
      backups_[i].emplace(std::move(*opened));
    }
  }
  /// Domain 0 writes; true if the answer came.
  bool write(const std::string& path, const std::string& value) {
    const auto bytes = test::encode(MessageType::write, next_id_++, 0, path + '\0' + value);
    EXPECT_EQ(client_.requests.write(bytes), bytes.size());
    primary_->kick(0);
    return serve();
  }
  bool serve() {
    static_cast<void>(primary_->advance(++now_ms_));
    static_cast<void>(primary_->run(100));
    test::Bytes answer(256);
    const auto count = client_.responses.peek(answer);
    client_.responses.consume(*count);
    return *count == 16 + 3;
  }
  void follow(std::size_t i) {
    const auto progress = backups_[i]->step(1000);
    EXPECT_EQ(progress.state, BackupState::following);
  }
  [[nodiscard]] auto recovered(bool first = true, bool second = true) {
    return recover({first ? memories_[0].shared() : SharedMemory{},
                    second ? memories_[1].shared() : SharedMemory{}},
                   {});
  }
  [[nodiscard]] std::uint64_t digest() { return primary_->machine().tree_digest(); }
  [[nodiscard]] static std::uint64_t digest(Recovery& recovery) {
    return recovery.state.replica.machine().tree_digest();
  }
};

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

TEST_F(RecoveryTest, Dom0IsIgnoredOnlyWhenTwoLivesSawItBreakTheProtocol) {
  ASSERT_TRUE(write("/a", "1"));
  auto bytes = test::encode(MessageType::write, next_id_++, 0, std::string("/a") + '\0' + "2");
  store::MessageHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.length = store::kPayloadMax + 1;
  std::memcpy(bytes.data(), &header, sizeof header);
  EXPECT_EQ(client_.requests.write(bytes), bytes.size());
  primary_->kick(0);
  EXPECT_EQ(primary_->run(100), Primary::Run::corrupt);
  const auto doubt = primary_->doubt();
  ASSERT_TRUE(doubt);
  EXPECT_EQ(client_.error(), 0U);

  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                   PrimaryOptions{.geometry = kSmall, .key = kKey});
  primary_->seen_before(*doubt);
  ASSERT_TRUE(primary_->adopt(0, page_.shared()));
  EXPECT_EQ(primary_->run(100), Primary::Run::idle);
  EXPECT_FALSE(primary_->doubt());
  EXPECT_NE(client_.error(), 0U) << "it is told";
  EXPECT_FALSE(primary_->neglects()) << "and we know why it is ignored";
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

TEST_F(RecoveryTest, ADamagedCheckpointIsNotCopied) {
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(write("/n/" + std::to_string(i), "x"));
  follow(0);
  const auto head = newest_checkpoint(*Region::open(memories_[0].shared()));
  memories_[0].flip(checkpoint_offset(kSmall, head->serial) + sizeof *head + 100, 1);
  primary_->detach_region(1);
  primary_->attach_region(1, memories_[1].shared());
  settle();
  auto second = recovered(false, true);
  ASSERT_TRUE(second);
  EXPECT_EQ(digest(*second), digest());
  // And whoever wrote it notices.
  EXPECT_FALSE(backups_[0]->scrub(~0ULL));
  EXPECT_TRUE(backups_[0]->scrub(~0ULL));
  auto first = recovered(true, false);
  ASSERT_TRUE(first);
  EXPECT_EQ(digest(*first), digest());
}

TEST_F(RecoveryTest, ALogOfAPrimaryThatWasWrongIsExecutedAsFarAsItFits) {
  ASSERT_TRUE(write("/a", "1"));
  const std::uint64_t before = digest();
  // It says that more of an answer has left than there ever was, and goes on.
  LogTail tail = primary_->tail();
  Event event;
  event.kind = Event::Kind::tick;
  event.now_ms = now_ms_;
  std::vector<std::byte> record;
  for (const std::uint32_t bytes : {5000u, 0u}) {
    const std::vector<Settlement> settlements{{.domid = 0, .bytes = bytes}};
    encode(kKey, tail.sequence + 1, event, settlements, record);
    for (test::Memory& memory : memories_) {
      auto region = Region::open(memory.shared());
      append(*region, tail, record);
    }
    tail = after(tail, record.size());
  }
  EXPECT_EQ(backups_[0]->step(100).state, BackupState::misapplied);
  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  EXPECT_TRUE(recovery->stale) << "whatever it acknowledged after that is lost, and is to be told";
  EXPECT_EQ(digest(*recovery), before);
  EXPECT_EQ(recovery->set.members(), 0u) << "both logs must be made anew";
  EXPECT_EQ(recovery->standing[0], Standing::damaged);
  EXPECT_EQ(recovery->standing[1], Standing::damaged);
}

TEST_F(RecoveryTest, AnAcknowledgedRecordThatIsDamagedIsNotSilentlyLost) {
  ASSERT_TRUE(write("/a", "1"));
  const std::uint64_t position = primary_->tail().position;
  ASSERT_TRUE(write("/a", "2"));
  memories_[0].flip(log_offset(kSmall) + position + 40, 0);
  auto both = recovered();
  ASSERT_TRUE(both);
  EXPECT_EQ(both->source, 1u);
  EXPECT_EQ(both->standing[0], Standing::damaged);
  EXPECT_EQ(digest(*both), digest());
  auto first = recovered(true, false);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->stale);
  EXPECT_EQ(backups_[0]->step(10).state, BackupState::damaged);
}

TEST_F(RecoveryTest, AWrongDigestIsSeen) {
  ASSERT_TRUE(write("/a", "1"));
  follow(0);
  follow(1);
  EXPECT_EQ(primary_->compare().verdict, Verdict::agreed);
  auto region = *Region::open(memories_[1].shared());
  region.set_digest(primary_->tail().sequence, 12345);
  EXPECT_EQ(primary_->compare().verdict, Verdict::one_odd);
  EXPECT_EQ(primary_->compare().odd, 2u);
  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  EXPECT_EQ(recovery->standing[1], Standing::diverged);
  EXPECT_EQ(recovery->set.members(), 1u);
}

TEST_F(RecoveryTest, AllMembershipWordsDamagedIsStillBetterThanNothing) {
  ASSERT_TRUE(write("/a", "1"));
  for (test::Memory& memory : memories_)
    memory.flip(kMembershipOffset, 5);
  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  EXPECT_TRUE(recovery->stale) << "nobody knows whether this is all";
  EXPECT_EQ(digest(*recovery), digest());
}

TEST_F(RecoveryTest, LosingEveryCheckpointIsLoud) {
  ASSERT_TRUE(write("/a", "1"));
  for (test::Memory& memory : memories_) {
    for (const std::uint64_t serial : {0u, 1u})
      memory.flip(checkpoint_offset(kSmall, serial) + 8, 0);
  }
  EXPECT_EQ(recovered().error(), RecoveryError::all_lost);
}

TEST_F(RecoveryTest, AnOverwrittenRingFailsThatConnectionOnly) {
  ASSERT_TRUE(write("/a", "1"));
  auto& page = *reinterpret_cast<store::RingPage*>(page_.bytes().data());
  page.rsp_prod += 5;
  std::optional<Primary::Doubt> doubt;
  for (const auto expected : {Primary::Run::corrupt, Primary::Run::idle}) {
    auto recovery = recovered();
    ASSERT_TRUE(recovery);
    primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                     PrimaryOptions{.geometry = kSmall, .key = kKey});
    if (doubt) primary_->seen_before(*doubt);
    EXPECT_TRUE(primary_->adopt(0, page_.shared()));
    EXPECT_EQ(primary_->run(10), expected) << "it is dom0's: two lives must see it";
    doubt = primary_->doubt();
  }
  EXPECT_EQ(client_.error(), static_cast<std::uint32_t>(XENSTORE_ERROR_RINGIDX));
  const auto reports = primary_->take_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, Report::Kind::connection_failed);
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

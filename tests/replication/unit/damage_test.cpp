// What recovery and the primary make of what is wrong: in regions, in rings, in what a primary
// wrote.
#include <cstring>
#include <vector>

#include "recovery_fixture.hpp"

namespace ppvmm::replication {
namespace {

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

/// Another domain is believed, unless our own code is damaged.
TEST_F(RecoveryTest, AnotherDomainIsIgnoredAtOnceButNotByDamagedCode) {
  static bool whole = false;
  whole = false;
  auto recovery = recovered();
  ASSERT_TRUE(recovery);
  primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                   PrimaryOptions{.geometry = kSmall, .key = kKey, .whole = [] { return whole; }});
  ASSERT_TRUE(primary_->adopt(0, page_.shared()));
  test::Memory page(4096);
  ASSERT_TRUE(primary_->connect(5, 1, 1, page.shared()));
  reinterpret_cast<store::RingPage*>(page.bytes().data())->req_prod += 5000;
  const store::ClientRing guest(*reinterpret_cast<store::RingPage*>(page.bytes().data()));
  primary_->kick(5);
  EXPECT_EQ(primary_->run(100), Primary::Run::corrupt);
  ASSERT_TRUE(primary_->doubt());
  EXPECT_EQ(primary_->doubt()->domid, 5U);
  EXPECT_EQ(guest.error(), 0U) << "and nothing has been done to it";

  recovery = recovered();
  ASSERT_TRUE(recovery);
  whole = true;
  primary_.emplace(std::move(recovery->state), std::move(recovery->set),
                   PrimaryOptions{.geometry = kSmall, .key = kKey, .whole = [] { return whole; }});
  ASSERT_TRUE(primary_->adopt(0, page_.shared()));
  ASSERT_TRUE(primary_->adopt(5, page.shared()));
  EXPECT_EQ(primary_->run(100), Primary::Run::idle);
  EXPECT_NE(guest.error(), 0U) << "it was the guest";
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

}  // namespace
}  // namespace ppvmm::replication

// The log: what was appended is read back; what was torn is not there; what was damaged is noticed.
#include "replication/log.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "../memory.hpp"
#include "replication/event.hpp"

namespace ppvmm::replication {
namespace {

using test::kSmall;

constexpr std::uint64_t kKey = 0x5EC2E7;

std::vector<std::byte> input_record(std::uint64_t sequence, std::size_t bytes) {
  const std::vector<std::byte> payload(bytes, static_cast<std::byte>(sequence));
  Event event;
  event.kind = Event::Kind::input;
  event.domid = 7;
  event.now_ms = sequence * 10;
  event.in_before = 1000 + sequence;
  event.bytes = payload;
  std::vector<std::byte> record;
  encode(kKey, sequence, event, {}, record);
  return record;
}

/// Counts stores, and takes all from number `limit` on back.
class Journal final : public StoreObserver {
 public:
  void before_store(std::byte* at, std::size_t size) override {
    Entry entry{at, size, {}};
    std::memcpy(entry.old, at, size);
    entries_.push_back(entry);
  }
  [[nodiscard]] std::size_t count() const { return entries_.size(); }
  void keep(std::size_t count) {
    while (entries_.size() > count) {
      const Entry& entry = entries_.back();
      std::memcpy(entry.at, entry.old, entry.size);
      entries_.pop_back();
    }
    entries_.clear();
  }

 private:
  struct Entry {
    std::byte* at;
    std::size_t size;
    std::byte old[8];
  };
  std::vector<Entry> entries_;
};

class LogTest : public ::testing::Test {
 protected:
  test::Memory memory_ = test::region_memory();
  Region region_ = *Region::format(memory_.shared(), kSmall, kKey);
  std::vector<std::byte> record_;

  LogTest() { region_.set_word(kReleasedOffset, 0); }
};

TEST_F(LogTest, ReadsBackWhatWasAppendedAroundTheRingsEnd) {
  LogTail writer;
  LogTail reader;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const auto record = input_record(i, 1 + i * 37 % 4112);
    ASSERT_EQ(has_room(region_, writer, record.size()), true);
    append(region_, writer, record);
    writer = after(writer, record.size());

    ASSERT_EQ(read(region_, reader, record_), Found::record);
    EXPECT_EQ(record_, record);
    const auto decoded = decode(record_);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->sequence, i);
    EXPECT_EQ(decoded->event.in_before, 1000 + i);
    EXPECT_EQ(decoded->event.bytes.size(), 1 + i * 37 % 4112);
    reader = after(reader, record_.size());
    region_.set_word(kReleasedOffset, reader.position);
  }
  EXPECT_EQ(reader, writer);
  EXPECT_GT(writer.position, 4 * kSmall.log_bytes) << "the test must go round the ring";
  EXPECT_EQ(read(region_, reader, record_), Found::nothing);
}

TEST_F(LogTest, FullUntilReleased) {
  LogTail tail;
  const auto record = input_record(1, 4000);
  std::uint64_t count = 0;
  while (*has_room(region_, tail, record.size())) {
    append(region_, tail, input_record(tail.sequence + 1, 4000));
    tail = after(tail, record.size());
    ++count;
  }
  EXPECT_EQ(count, kSmall.log_bytes / record.size());
  region_.set_word(kReleasedOffset, record.size());
  EXPECT_EQ(has_room(region_, tail, record.size()), true);
}

TEST_F(LogTest, RefusesAReleaseThatCannotBe) {
  const LogTail tail{5, 1 << 20};
  for (const std::uint64_t wrong : {(std::uint64_t{1} << 20) + 32, std::uint64_t{1} << 10}) {
    region_.set_word(kReleasedOffset, wrong);
    EXPECT_EQ(has_room(region_, tail, 32), std::unexpected{RegionError::damaged}) << wrong;
  }
  region_.set_word(kReleasedOffset, 1 << 20);
  memory_.flip(kReleasedOffset + 1, 3);
  EXPECT_EQ(has_room(region_, tail, 32), std::unexpected{RegionError::damaged});
}

TEST_F(LogTest, DyingInTheMiddleOfAnAppendLeavesAllOrNothing) {
  // An old lap whose payload looks like heads of future records, as a hostile guest would send it.
  std::vector<std::byte> lure(kSmall.log_bytes);
  for (std::size_t at = 0; at + 8 <= lure.size(); at += 32) {
    const std::uint64_t sequence = 2;
    std::memcpy(lure.data() + at, &sequence, sizeof sequence);
  }
  std::size_t steps = 1;
  for (std::size_t dies_at = 0; dies_at <= steps; ++dies_at) {
    test::Memory memory = test::region_memory();
    Journal journal;
    Region region = *Region::format(memory.shared(&journal), kSmall, kKey);
    region.memory().write(log_offset(kSmall), lure);
    const auto first = input_record(1, 100);
    append(region, {}, first);
    const LogTail tail = after({}, first.size());
    journal.keep(journal.count());

    append(region, tail, input_record(2, 777));
    steps = journal.count();
    journal.keep(dies_at);
    const Found found = read(region, tail, record_);
    // The last store but one publishes. Here the lure has that word's value already and only
    // padding comes before it, so the last meaningful byte does; nothing earlier may.
    EXPECT_EQ(found, dies_at + 3 >= steps ? Found::record : Found::nothing) << "step " << dies_at;
    if (found == Found::record) {
      EXPECT_EQ(decode(record_)->event.bytes.size(), 777u);
    }
  }
  EXPECT_GT(steps, 90u);
}

TEST_F(LogTest, EveryFlippedBitIsNoticed) {
  const auto record = input_record(1, 21);
  append(region_, {}, record);
  const std::size_t meaningful = sizeof(RecordHead) + 8 + 21;
  for (std::size_t at = 0; at < meaningful; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      memory_.flip(log_offset(kSmall) + at, bit);
      EXPECT_EQ(read(region_, {}, record_), Found::damaged) << at << ":" << bit;
      memory_.flip(log_offset(kSmall) + at, bit);
    }
  }
  EXPECT_EQ(read(region_, {}, record_), Found::record);
}

TEST(RecordTest, IsTheSameInAVectorThatWasUsedBefore) {
  for (std::size_t bytes = 1; bytes < 100; ++bytes) {
    const std::vector<std::byte> payload(bytes, std::byte{0xAB});
    Event event;
    event.kind = Event::Kind::input;
    event.bytes = payload;
    std::vector<std::byte> fresh;
    std::vector<std::byte> used(777, std::byte{0xEE});
    encode(kKey, 1, event, {}, fresh);
    encode(kKey, 1, event, {}, used);
    EXPECT_EQ(fresh, used) << bytes;
  }
}

TEST(RecordTest, CarriesEveryKindOfEvent) {
  const std::vector<Settlement> settlements{{3, 77}, {9, 1}};
  for (int kind = 1; kind <= 10; ++kind) {
    const std::byte bytes[] = {std::byte{1}, std::byte{2}, std::byte{3}};
    Event event;
    event.kind = static_cast<Event::Kind>(kind);
    event.domid = 12;
    event.now_ms = 99;
    event.in_before = 5;
    event.bytes = bytes;
    event.result = store::IntroduceResult::bad_port;
    event.ring = {0x1234567890, 17, 0xFFFFFFF0, 3};
    std::vector<std::byte> record;
    encode(kKey, 8, event, settlements, record);
    EXPECT_EQ(record.size() % kRecordAlignment, 0u);
    const auto decoded = decode(record);
    ASSERT_TRUE(decoded) << kind;
    EXPECT_EQ(decoded->event.kind, event.kind);
    EXPECT_EQ(decoded->event.domid, 12);
    EXPECT_EQ(decoded->event.now_ms, 99u);
    ASSERT_EQ(decoded->settlements.size(), 2u);
    EXPECT_EQ(decoded->settlements[0].bytes, 77u);
    const bool input = event.kind == Event::Kind::input;
    EXPECT_EQ(decoded->event.bytes.size(), input ? 3u : 0u);
    if (event.kind == Event::Kind::introduced || event.kind == Event::Kind::connected) {
      EXPECT_EQ(decoded->event.ring.gfn, 0x1234567890u);
      EXPECT_EQ(decoded->event.ring.request_base, 0xFFFFFFF0u);
      EXPECT_EQ(decoded->event.result, store::IntroduceResult::bad_port);
    }
  }
}

TEST(RecordTest, RefusesFieldsThatContradictEachOther) {
  const auto good = input_record(1, 40);
  ASSERT_TRUE(decode(good));
  const auto with_head = [&](auto change) {
    auto record = good;
    RecordHead head{};
    std::memcpy(&head, record.data(), sizeof head);
    change(head);
    std::memcpy(record.data(), &head, sizeof head);
    return decode(record).has_value();
  };
  EXPECT_FALSE(with_head([](RecordHead& head) { head.kind = 0; }));
  EXPECT_FALSE(with_head([](RecordHead& head) { head.kind = 11; }));
  EXPECT_FALSE(with_head([](RecordHead& head) { head.length = 100'000; }));
  EXPECT_FALSE(with_head([](RecordHead& head) { head.length = 8; })) << "input without a byte";
  EXPECT_FALSE(with_head([](RecordHead& head) { head.deltas = 255; }));
  EXPECT_FALSE(with_head([](RecordHead& head) { head.kind = 9; })) << "a tick has no payload";
  EXPECT_FALSE(decode(std::span{good}.first(16)));
}

}  // namespace
}  // namespace ppvmm::replication

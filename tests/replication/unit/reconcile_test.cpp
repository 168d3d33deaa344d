// Whether the newest intended publication happened, from one index of the ring.
#include "replication/reconcile.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ppvmm::replication {
namespace {

Seat seat_with(std::uint64_t in, std::uint32_t base = 1000) {
  Seat seat;
  seat.domid = 5;
  seat.epoch = 9;
  seat.ring.response_base = base;
  seat.in = in;
  return seat;
}

/// A read of `in_count` bytes answered with `out_count` bytes.
Intent read_intent(std::uint64_t serial, std::uint64_t in_after, std::uint64_t out_after,
                   std::uint32_t in_count, std::uint32_t out_count) {
  Intent intent{};
  intent.serial = serial;
  intent.epoch = 9;
  intent.domid = 5;
  intent.in_after = in_after;
  intent.out_after = out_after;
  intent.logged_after = 40;
  intent.in_count = in_count;
  intent.out_count = out_count;
  return intent;
}

std::optional<Streams> reconcile_with(const Seat& seat, const std::vector<Intent>& intents,
                                      std::uint32_t response_index) {
  return reconcile(seat, newest_intent(seat, intents), response_index);
}

TEST(ReconcileTest, NothingIntendedMeansNothingPublished) {
  const auto streams = reconcile_with(seat_with(30), {}, 1000);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->in, 30u);
  EXPECT_EQ(streams->out, 0u);
  EXPECT_FALSE(reconcile_with(seat_with(30), {}, 1001)) << "somebody else wrote the index";
}

TEST(ReconcileTest, TheIndexTellsWhetherTheReadWasAnswered) {
  const std::vector<Intent> intents{read_intent(1, 20, 50, 20, 50), read_intent(2, 44, 66, 24, 16)};
  const auto before = reconcile_with(seat_with(0), intents, 1000 + 50);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->in, 20u) << "the read is still to be done";
  EXPECT_EQ(before->out, 50u);
  const auto done = reconcile_with(seat_with(0), intents, 1000 + 66);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->in, 44u) << "the read must not be done again";
  EXPECT_EQ(done->out, 66u);
  EXPECT_EQ(done->serial, 2u);
}

TEST(ReconcileTest, ALoggedRequestIsConsumedWhateverWasPublished) {
  Intent intent = read_intent(3, 60, 80, 0, 30);
  intent.logged_count = 30;
  intent.logged_after = 70;
  const auto streams = reconcile_with(seat_with(60), {intent}, 1000 + 50);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->in, 60u);
  EXPECT_EQ(streams->logged, 40u) << "its answer is still to be published";
}

TEST(ReconcileTest, TornNewestIntentMeansItDidNotHappen) {
  // Serial 3 was being written when the primary died: only 2 is intact, and it did happen.
  const auto streams = reconcile_with(seat_with(0), {read_intent(2, 44, 66, 24, 16)}, 1000 + 66);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->in, 44u);
}

TEST(ReconcileTest, IndexesRunModulo32Bits) {
  const std::uint32_t base = 0xFFFFFFF0;
  const auto streams = reconcile_with(seat_with(0, base), {read_intent(1, 20, 50, 20, 50)}, 0x22);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->out, 50u);
}

TEST(ReconcileTest, StaleAndImpossibleIntentsDoNotCount) {
  Intent other_epoch = read_intent(8, 500, 500, 1, 1);
  other_epoch.epoch = 8;
  Intent other_domain = read_intent(8, 500, 500, 1, 1);
  other_domain.domid = 6;
  const Intent impossible = read_intent(8, 10, 500, 20, 1);
  const Intent too_long = read_intent(8, 5000, 5000, 20, 1025);
  const auto streams =
      reconcile_with(seat_with(7), {other_epoch, other_domain, impossible, too_long}, 1000);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->serial, 0u);
}

TEST(ReconcileTest, AnOverwrittenIndexIsNotGuessedAt) {
  const std::vector<Intent> intents{read_intent(1, 20, 50, 20, 50), read_intent(2, 44, 66, 24, 16)};
  for (const std::uint32_t index : {1000u, 1049u, 1051u, 1065u, 1067u, 0u}) {
    EXPECT_FALSE(reconcile_with(seat_with(0), intents, index)) << index;
  }
}

}  // namespace
}  // namespace ppvmm::replication

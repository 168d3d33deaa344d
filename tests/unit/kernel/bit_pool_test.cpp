#include "kernel/bit_pool.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

using Pool = ppvmm::kernel::BitPool<256>;

Pool full_pool() {
  Pool pool;
  for (std::uint32_t i = 0; i < 256; ++i)
    pool.give(i);
  return pool;
}

TEST(BitPool, BeginsEmptyAndGivesEachNumberOnce) {
  Pool empty;
  EXPECT_FALSE(empty.take());
  Pool pool = full_pool();
  std::set<std::uint32_t> seen;
  while (const auto number = pool.take())
    EXPECT_TRUE(seen.insert(*number).second);
  EXPECT_EQ(seen.size(), 256u);
  EXPECT_EQ(pool.available(), 0u);
}

TEST(BitPool, TheLowestFreeNumberComesFirstAlsoAfterGivingBack) {
  Pool pool = full_pool();
  for (int i = 0; i < 200; ++i)
    (void)pool.take();
  pool.give(3);
  pool.give(150);
  EXPECT_EQ(pool.take(), 3u);
  EXPECT_EQ(pool.take(), 150u);
  EXPECT_EQ(pool.take(), 200u);
}

TEST(BitPool, GivingTwiceOrGivingNonsenseChangesNothing) {
  Pool pool;
  pool.give(7);
  pool.give(7);
  pool.give(256);
  EXPECT_EQ(pool.available(), 1u);
}

TEST(BitPool, ClaimTakesThatNumberOrNothing) {
  Pool pool = full_pool();
  EXPECT_TRUE(pool.claim(70));
  EXPECT_FALSE(pool.claim(70));
  EXPECT_FALSE(pool.claim(256));
  EXPECT_EQ(pool.available(), 255u);
}

TEST(BitPool, RangesAndWordsAreGivenLikeSingleNumbers) {
  for (const auto& [first, count] :
       {std::pair{0U, 256U}, {3U, 61U}, {60U, 10U}, {64U, 64U}, {5U, 0U}, {130U, 126U}}) {
    Pool one;
    Pool other;
    one.give_range(first, count);
    for (std::uint32_t i = first; i < first + count; ++i)
      other.give(i);
    EXPECT_EQ(one.available(), other.available());
    for (std::uint32_t i = 0; i < 256; ++i)
      EXPECT_EQ(one.is_free(i), other.is_free(i)) << first << " " << count << " " << i;
  }
  Pool pool;
  pool.give_word(64, 0b101);
  pool.give_word(64, 0b111);
  EXPECT_EQ(pool.available(), 3u);
  EXPECT_EQ(pool.word(64), 0b111u);
  EXPECT_EQ(pool.take(), 64u);
}

TEST(BitPool, RunsComeFromTheTopAndAreWhole) {
  Pool pool = full_pool();
  EXPECT_EQ(pool.take_run(100), 156u);
  EXPECT_TRUE(pool.claim(100));
  EXPECT_EQ(pool.take_run(60), 40u);
  EXPECT_EQ(pool.take_run(55), 101u);
  EXPECT_FALSE(pool.take_run(41));
  EXPECT_FALSE(pool.take_run(0));
  EXPECT_EQ(pool.available(), 40u);
}

}  // namespace

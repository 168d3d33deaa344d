#include "kernel/frames.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace ppvmm::kernel {
namespace {

class FramesTest : public ::testing::Test {
 protected:
  static constexpr Frame kTotal = 1000;
  std::vector<FrameInfo> info_ = std::vector<FrameInfo>(kTotal);
  Frames frames_{info_};
};

TEST_F(FramesTest, GivesNothingBeforeItWasGivenAnything) {
  EXPECT_EQ(frames_.free_frames(), 0u);
  EXPECT_FALSE(frames_.take(1));
}

TEST_F(FramesTest, RunsOfOddLengthLoseNoFrame) {
  frames_.give(10, 990);
  const auto run = frames_.take(37);
  ASSERT_TRUE(run);
  EXPECT_EQ(frames_.run_length(*run), 37u);
  EXPECT_EQ(frames_.free_frames(), 990u - 37u);
  EXPECT_TRUE(frames_.release(*run));
  EXPECT_EQ(frames_.free_frames(), 990u);
}

TEST_F(FramesTest, NeighboursMergeAgain) {
  frames_.give(0, 1000);
  std::vector<Frame> singles;
  while (const auto frame = frames_.take(1))
    singles.push_back(*frame);
  EXPECT_EQ(singles.size(), 1000u);
  for (const Frame frame : singles)
    ASSERT_TRUE(frames_.release(frame));
  // 512 is the largest aligned power of two in [0, 1000).
  EXPECT_TRUE(frames_.take(512));
}

TEST_F(FramesTest, RefusesWhatBeginsNoRun) {
  frames_.give(0, 100);
  const auto run = frames_.take(4);
  ASSERT_TRUE(run);
  EXPECT_FALSE(frames_.release(*run + 1));
  EXPECT_FALSE(frames_.release(kTotal + 5));
  EXPECT_TRUE(frames_.release(*run));
  EXPECT_FALSE(frames_.release(*run)) << "a second release";
}

TEST_F(FramesTest, RefusesZeroAndTooMuch) {
  frames_.give(0, kTotal);
  EXPECT_FALSE(frames_.take(0));
  EXPECT_FALSE(frames_.take(kTotal + 1));
  EXPECT_FALSE(frames_.take(kNoFrame));
}

TEST_F(FramesTest, AdoptedMemoryIsARunThatCanBeReleased) {
  frames_.give(0, 100);
  frames_.give(110, 100);
  frames_.adopt(100, 10);
  EXPECT_EQ(frames_.run_length(100), 10u);
  EXPECT_TRUE(frames_.release(100));
  EXPECT_EQ(frames_.free_frames(), 210u);
}

TEST_F(FramesTest, RandomUseNeverOverlapsAndAlwaysComesBack) {
  std::mt19937 random(20261122);
  frames_.give(3, kTotal - 3);
  std::map<Frame, Frame> runs;
  std::vector<bool> taken(kTotal);
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0 || runs.empty()) {
      const Frame count = 1 + static_cast<Frame>(random() % 40);
      const auto first = frames_.take(count);
      if (!first) continue;
      for (Frame i = *first; i < *first + count; ++i) {
        ASSERT_GE(i, 3u);
        ASSERT_LT(i, kTotal);
        ASSERT_FALSE(taken[i]) << "frame " << i << " is in two runs";
        taken[i] = true;
      }
      runs[*first] = count;
    } else {
      const auto run = std::next(runs.begin(), static_cast<long>(random() % runs.size()));
      ASSERT_EQ(frames_.run_length(run->first), run->second);
      ASSERT_TRUE(frames_.release(run->first));
      for (Frame i = run->first; i < run->first + run->second; ++i)
        taken[i] = false;
      runs.erase(run);
    }
  }
  for (const auto& [first, count] : runs)
    ASSERT_TRUE(frames_.release(first));
  EXPECT_EQ(frames_.free_frames(), kTotal - 3);
  EXPECT_TRUE(frames_.take(256)) << "all merged again";
}

}  // namespace
}  // namespace ppvmm::kernel

// Packets from the wire outlive the pool that they were in.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "net/frame.hpp"

namespace ppvmm::net {
namespace {

class ReceiveNotesTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 16;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> pages_ = std::vector<DmaAddress>(kBuffers);
  std::vector<ReceiveNote> notes_ = std::vector<ReceiveNote>(kBuffers);
  std::optional<BufferPool> pool_;

  ReceiveNotesTest() {
    for (std::size_t i = 0; i < kBuffers; ++i)
      pages_[i] = 0x1000 * (i + 1);
    be_born();
  }
  /// A new life: the old pool's handles are only memory.
  void be_born() { pool_.emplace(memory_.data(), pages_, kBuffers, notes_); }
  Frame arrived(std::size_t length, std::byte content) {
    Frame frame = pool_->frame_of(length);
    const std::vector<std::byte> bytes(length, content);
    frame.copy_in(0, bytes);
    pool_->note(frame);
    return frame;
  }
  static std::byte first_byte(const Frame& frame) { return frame.bytes(frame.fragments()[0])[0]; }
};

TEST_F(ReceiveNotesTest, WhatNobodyGotIsFoundInItsOrder) {
  std::vector<Frame> lost;
  for (unsigned i = 0; i < 5; ++i)
    lost.push_back(arrived(60 + i, std::byte(i)));
  lost[1].offload().data_validated = true;
  pool_->note(lost[1]);
  std::swap(lost[0], lost[3]);
  std::vector<Frame> abandoned;
  abandoned.swap(lost);
  for (Frame& each : abandoned)
    new (&each) Frame;
  be_born();
  const auto found = pool_->recover();
  ASSERT_EQ(found.size(), 5u);
  const std::vector<unsigned> order{0, 2, 3, 4, 1};  // 1 was noted once more, last
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(first_byte(found[i]), std::byte(order[i]));
    EXPECT_EQ(found[i].length(), 60 + order[i]);
    EXPECT_EQ(found[i].offload().data_validated, order[i] == 1);
  }
  EXPECT_EQ(pool_->statistics().free_buffers, kBuffers - 5);
  EXPECT_TRUE(pool_->consistent());
}

TEST_F(ReceiveNotesTest, WhatWasDeliveredIsNotFound) {
  { const Frame delivered = arrived(60, std::byte{1}); }
  be_born();
  EXPECT_TRUE(pool_->recover().empty());
  EXPECT_EQ(pool_->statistics().free_buffers, kBuffers);
}

TEST_F(ReceiveNotesTest, AFrameOfSeveralBuffersIsFoundWholeOrNotAtAll) {
  Frame whole = arrived(3 * kBufferBytes, std::byte{1});
  Frame torn = arrived(3 * kBufferBytes, std::byte{2});
  notes_[torn.fragments()[1].buffer].length = 7;  // does not match its sum any more
  new (&whole) Frame;
  new (&torn) Frame;
  be_born();
  const auto found = pool_->recover();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].length(), 3 * kBufferBytes);
  EXPECT_EQ(first_byte(found[0]), std::byte{1});
  EXPECT_EQ(pool_->statistics().free_buffers, kBuffers - 3);
}

TEST_F(ReceiveNotesTest, DamagedNotesAreNone) {
  for (std::size_t i = 0; i < kBuffers; ++i) {
    notes_[i] = {.number = static_cast<std::uint32_t>(i),
                 .offset = 4000,
                 .length = 200,
                 .piece = 0,
                 .pieces = 1,
                 .offload = 0,
                 .sum = static_cast<std::uint8_t>(i),
                 .checksum_start = 0,
                 .checksum_offset = 0};
  }
  EXPECT_TRUE(pool_->recover().empty());
  EXPECT_TRUE(
      std::ranges::all_of(notes_, [](const ReceiveNote& note) { return note.length == 0; }));
  EXPECT_EQ(pool_->statistics().free_buffers, kBuffers);
}

TEST_F(ReceiveNotesTest, FoundAgainAfterAnotherDeath) {
  Frame frame = arrived(60, std::byte{9});
  new (&frame) Frame;
  for (int life = 0; life < 3; ++life) {
    be_born();
    auto found = pool_->recover();
    ASSERT_EQ(found.size(), 1u);
    new (&found[0]) Frame;
  }
  be_born();
  { const auto found = pool_->recover(); }
  be_born();
  EXPECT_TRUE(pool_->recover().empty()) << "this time somebody got it";
}

TEST_F(ReceiveNotesTest, ABufferIsClaimedOnceAndOnlyIfItIsFree) {
  const Buffer claimed = pool_->claim(0x3000);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed.index(), 2u);
  EXPECT_FALSE(pool_->claim(0x3000));
  EXPECT_FALSE(pool_->claim(0x3001)) << "no buffer begins there";
  EXPECT_FALSE(pool_->claim(0x99'0000));
  EXPECT_TRUE(pool_->consistent());
}

TEST_F(ReceiveNotesTest, APoolOfADeadComponentFindsItsFrames) {
  constexpr std::uint8_t kComponent = 2;
  pool_->enter(kComponent);
  Frame frame = arrived(60, std::byte{3});
  new (&frame) Frame;
  EXPECT_TRUE(pool_->recover().empty()) << "it is not free";
  EXPECT_EQ(pool_->reclaim_owned(kComponent), 1u);
  EXPECT_EQ(pool_->recover().size(), 1u);
}

}  // namespace
}  // namespace ppvmm::net

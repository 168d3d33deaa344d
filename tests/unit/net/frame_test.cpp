#include "net/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace ppvmm::net {
namespace {

class FrameTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 24;
  static std::vector<DmaAddress> scattered() {
    std::vector<DmaAddress> pages(kBuffers);
    for (std::size_t i = 0; i < kBuffers; ++i)
      pages[i] = 0x1'0000'0000 + 0x10000 * i;
    return pages;
  }
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> pages_ = scattered();
  BufferPool pool_{memory_.data(), pages_, 8};
};

TEST_F(FrameTest, EveryHandleGivesItsMemoryBack) {
  {
    Frame frame = pool_.frame_of(3 * kBufferBytes);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame.fragments().size(), 3u);
    const Buffer alone = pool_.take();
    EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 4);
    EXPECT_EQ(pool_.statistics().free_frames, 7u);
    Frame moved = std::move(frame);
    EXPECT_FALSE(frame);
    EXPECT_TRUE(moved);
  }
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
  EXPECT_EQ(pool_.statistics().free_frames, 8u);
}

TEST_F(FrameTest, PiecesLieWhereTheyWerePut) {
  Frame frame = pool_.frame();
  Buffer first = pool_.take();
  Buffer second = pool_.take();
  const std::uint32_t index = first.index();
  ASSERT_TRUE(frame.append(std::move(first), 100, 50));
  ASSERT_TRUE(frame.append(std::move(second), 0, 4096));
  EXPECT_FALSE(first);
  EXPECT_EQ(frame.length(), 4146u);
  EXPECT_EQ(frame.dma(frame.fragments()[0]), pages_[index] + 100);
  EXPECT_EQ(frame.bytes(frame.fragments()[0]).data(), memory_.data() + index * kBufferBytes + 100);

  std::vector<std::byte> in(4146);
  for (std::size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<std::byte>(i * 7);
  EXPECT_EQ(frame.copy_in(0, in), in.size());
  std::vector<std::byte> out(100);
  EXPECT_EQ(frame.copy_out(20, out), 100u);
  EXPECT_TRUE(std::equal(out.begin(), out.end(), in.begin() + 20));
  EXPECT_EQ(frame.copy_out(4140, out), 6u);
  EXPECT_EQ(frame.copy_out(4146, out), 0u);
  EXPECT_EQ(frame.copy_in(4146, in), 0u);
}

TEST_F(FrameTest, WhatDoesNotFitIsRefusedAndStaysTheCallers) {
  Frame frame = pool_.frame();
  Buffer buffer = pool_.take();
  EXPECT_FALSE(frame.append(std::move(buffer), 0, 0));
  EXPECT_FALSE(frame.append(std::move(buffer), 4096, 1));
  EXPECT_FALSE(frame.append(std::move(buffer), 1, 4096));
  EXPECT_FALSE(frame.append(std::move(buffer), 5000, 1));
  EXPECT_TRUE(buffer);
  EXPECT_FALSE(frame.append(Buffer{}, 0, 1));
  for (std::size_t i = 0; i < kFragmentsMax; ++i)
    EXPECT_TRUE(frame.append(pool_.take(), 0, 10));
  EXPECT_FALSE(frame.append(std::move(buffer), 0, 10));
  EXPECT_TRUE(buffer);

  Frame large = pool_.frame_of(2 * kBufferBytes);
  EXPECT_TRUE(large);
  EXPECT_FALSE(pool_.frame_of(kFrameBytesMax + 1));
  EXPECT_FALSE(pool_.frame_of(0));
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 18 - 2 - 1);
}

TEST_F(FrameTest, AnEmptyPoolSaysSoAndCounts) {
  std::vector<Buffer> held;
  for (std::size_t i = 0; i < kBuffers; ++i)
    held.push_back(pool_.take());
  EXPECT_FALSE(pool_.take());
  EXPECT_FALSE(pool_.frame_of(1));
  EXPECT_EQ(pool_.statistics().refused_buffers, 2u);
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < 8; ++i)
    frames.push_back(pool_.frame());
  EXPECT_FALSE(pool_.frame());
  EXPECT_FALSE(frames[0].share());
  EXPECT_EQ(pool_.statistics().refused_frames, 2u);
}

TEST_F(FrameTest, SharedPiecesLiveUntilTheLastHolderLetsGo) {
  Frame frame = pool_.frame_of(10);
  frame.tag() = 42;
  frame.offload() = {.checksum_blank = true, .checksum_start = 34, .checksum_offset = 16};
  Frame other = frame.share();
  ASSERT_TRUE(other);
  EXPECT_EQ(other.tag(), 42u);
  EXPECT_EQ(other.offload(), frame.offload());
  EXPECT_EQ(other.dma(other.fragments()[0]), frame.dma(frame.fragments()[0]));
  frame.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 1);
  EXPECT_EQ(other.length(), 10u);
  other.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(FrameTest, ALentPieceCountsAndIsOutOfReach) {
  Frame frame = pool_.frame();
  EXPECT_FALSE(frame.append_lent(7, 0, 100)) << "the headers must be ours";
  ASSERT_TRUE(frame.append(pool_.take(), 0, 50));
  EXPECT_FALSE(frame.lent());
  EXPECT_FALSE(frame.append_lent(Fragment::kLent, 0, 100));
  EXPECT_FALSE(frame.append_lent(7, 4000, 97));
  EXPECT_FALSE(frame.append_lent(7, 0, 0));
  ASSERT_TRUE(frame.append_lent(7, 4000, 96));
  EXPECT_TRUE(frame.lent());
  EXPECT_EQ(frame.length(), 146u);
  EXPECT_EQ(frame.fragments()[1].grant(), 7u);
  EXPECT_TRUE(frame.bytes(frame.fragments()[1]).empty());
  std::vector<std::byte> bytes(146);
  EXPECT_EQ(frame.copy_out(0, bytes), 50u);
  EXPECT_EQ(frame.copy_out(60, bytes), 0u);
  EXPECT_EQ(frame.copy_in(40, bytes), 10u);
  EXPECT_TRUE(pool_.consistent());

  Buffer buffer = pool_.take();
  EXPECT_FALSE(frame.settle(0, std::move(buffer))) << "it is not lent";
  EXPECT_FALSE(frame.settle(2, std::move(buffer))) << "there is none";
  ASSERT_TRUE(frame.settle(1, std::move(buffer)));
  EXPECT_FALSE(frame.lent());
  EXPECT_EQ(frame.copy_out(0, bytes), 146u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 2);
  frame.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
  EXPECT_TRUE(pool_.consistent());
}

TEST_F(FrameTest, WhoSharesALentPieceHoldsNoBufferOfIt) {
  Frame frame = pool_.frame();
  ASSERT_TRUE(frame.append(pool_.take(), 0, 50));
  ASSERT_TRUE(frame.append_lent(3, 0, 4096));
  Frame other = frame.share();
  ASSERT_TRUE(other.lent());
  frame.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 1);
  pool_.reclaim([&](const auto& mark) { mark(other); });
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 1);
  EXPECT_TRUE(pool_.consistent());
}

TEST_F(FrameTest, AFreshFrameRemembersNothing) {
  {
    Frame frame = pool_.frame_of(10);
    frame.tag() = 42;
    frame.offload().gso = Gso::tcp_v4;
  }
  const Frame again = pool_.frame();
  EXPECT_EQ(again.tag(), 0u);
  EXPECT_EQ(again.length(), 0u);
  EXPECT_EQ(again.offload(), Offload{});
}

/// A component that dies with handles in its hands: their storage is left as it is.
TEST_F(FrameTest, WhatADeadComponentHeldComesBack) {
  Frame kept = pool_.frame_of(2 * kBufferBytes);
  const Buffer kept_buffer = pool_.take();
  alignas(Frame) std::byte dead_frames[3 * sizeof(Frame)];
  alignas(Buffer) std::byte dead_buffer[sizeof(Buffer)];
  new (&dead_frames[0]) Frame(pool_.frame_of(5 * kBufferBytes));
  new (&dead_frames[sizeof(Frame)]) Frame(kept.share());
  new (&dead_buffer[0]) Buffer(pool_.take());
  const Frame also_kept = kept.share();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 9);

  pool_.reclaim([&](const BufferPool::Marker& mark) {
    mark(kept);
    mark(also_kept);
    mark(kept_buffer);
  });
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 3);
  EXPECT_EQ(pool_.statistics().free_frames, 6u);
  kept.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 3);
  EXPECT_EQ(also_kept.length(), 2 * kBufferBytes);
}

TEST_F(FrameTest, WhatADeadOwnerHeldComesBackAndNothingElse) {
  constexpr std::uint8_t kDriver = 7;
  Frame kept = pool_.frame_of(2 * kBufferBytes);
  Buffer kept_buffer = pool_.take();
  alignas(Frame) std::byte dead_frames[3 * sizeof(Frame)];
  alignas(Buffer) std::byte dead_buffers[2 * sizeof(Buffer)];

  // What the driver takes itself, a frame it was given, and one that it gave away.
  EXPECT_EQ(pool_.enter(kDriver), 0);
  new (&dead_frames[0]) Frame(pool_.frame_of(3 * kBufferBytes));
  new (&dead_buffers[0]) Buffer(pool_.take());
  new (&dead_buffers[sizeof(Buffer)]) Buffer(pool_.take());
  Frame received = pool_.frame();
  ASSERT_TRUE(received.append(pool_.take(), 0, 10));
  EXPECT_EQ(pool_.enter(0), kDriver);
  pool_.give(received, 0);
  Frame sent = kept.share();
  pool_.give(sent, kDriver);
  new (&dead_frames[sizeof(Frame)]) Frame(std::move(sent));
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 9);

  EXPECT_EQ(pool_.reclaim_owned(kDriver), 5u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 4);
  EXPECT_EQ(pool_.statistics().free_frames, 6u);
  EXPECT_EQ(pool_.reclaim_owned(kDriver), 0u);
  EXPECT_EQ(received.length(), 10u);
  received.reset();
  kept_buffer.reset();
  kept.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(FrameTest, AFrameAbsorbsTheRestOfAnother) {
  {
    Frame one = pool_.frame_of(100);
    Frame other = pool_.frame_of(kBufferBytes + 500);
    const std::vector<std::byte> bytes(kBufferBytes + 500 - 60, std::byte{7});
    ASSERT_EQ(other.copy_in(60, bytes), bytes.size());
    ASSERT_TRUE(one.absorb(std::move(other), 60));
    EXPECT_FALSE(other);
    EXPECT_EQ(one.length(), 100 + bytes.size());
    EXPECT_EQ(one.fragments().size(), 3u);
    std::vector<std::byte> back(bytes.size());
    EXPECT_EQ(one.copy_out(100, back), back.size());
    EXPECT_EQ(back, bytes);
    Frame third = pool_.frame_of(50);
    EXPECT_FALSE(one.absorb(std::move(third), 50)) << "nothing is left of it";
    EXPECT_TRUE(third);
    Frame many = pool_.frame_of(16 * kBufferBytes);
    EXPECT_FALSE(one.absorb(std::move(many), 0)) << "too many pieces";
    EXPECT_TRUE(many);
    EXPECT_EQ(one.length(), 100 + bytes.size());
  }
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
  EXPECT_EQ(pool_.statistics().free_frames, 8u);
}

}  // namespace
}  // namespace ppvmm::net

#include <gtest/gtest.h>

#include <array>

#include "kernel/fault.hpp"

namespace ppvmm::kernel {
namespace {

/// A made-up stack: pairs of saved frame pointer and return address.
class Backtrace : public ::testing::Test {
 protected:
  std::array<std::uint64_t, 64> stack_{};
  std::array<std::uint64_t, abi::kBacktraceDepth> out_{};
  static constexpr std::uint64_t kTextLow = 0x40000000;
  static constexpr std::uint64_t kTextHigh = 0x40010000;

  [[nodiscard]] std::uint64_t place(std::size_t word) const {
    return reinterpret_cast<std::uint64_t>(&stack_[word]);
  }
  [[nodiscard]] std::uint32_t walk(std::uint64_t frame) {
    return walk_frames(frame, {place(0), place(0) + sizeof(stack_)}, kTextLow, kTextHigh, out_);
  }
};

TEST_F(Backtrace, FollowsFramesToTheEnd) {
  stack_[4] = place(10);
  stack_[5] = kTextLow + 1;
  stack_[10] = 0;
  stack_[11] = kTextLow + 2;
  EXPECT_EQ(walk(place(4)), 2u);
  EXPECT_EQ(out_[0], kTextLow + 1);
  EXPECT_EQ(out_[1], kTextLow + 2);
}

TEST_F(Backtrace, StopsAtALoop) {
  stack_[4] = place(4);
  stack_[5] = kTextLow + 1;
  EXPECT_EQ(walk(place(4)), 1u);
}

TEST_F(Backtrace, StopsAtReturnAddressesOutsideText) {
  stack_[4] = place(10);
  stack_[5] = kTextHigh;
  EXPECT_EQ(walk(place(4)), 0u);
}

TEST_F(Backtrace, NeverReadsOutsideTheStack) {
  EXPECT_EQ(walk(0), 0u);
  EXPECT_EQ(walk(place(4) + 1), 0u) << "not aligned";
  EXPECT_EQ(walk(place(0) - 8), 0u) << "below";
  EXPECT_EQ(walk(place(0) + sizeof(stack_) - 8), 0u) << "only half a frame left";
  stack_[4] = place(0) + sizeof(stack_) + 64;
  stack_[5] = kTextLow;
  EXPECT_EQ(walk(place(4)), 1u) << "leaves the stack upward";
}

}  // namespace
}  // namespace ppvmm::kernel

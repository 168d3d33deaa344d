// What is held of a request that is not whole, in the ring's page.

#include "replication/ring_port.hpp"

#include <gtest/gtest.h>

#include "../memory.hpp"
#include "store/ring.hpp"

namespace ppvmm::replication {
namespace {

std::vector<std::byte> some_bytes(std::size_t count, unsigned first = 1) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

class RingPortTest : public testing::Test {
 protected:
  test::Memory page_{4096};
  RingPort port_{page_.shared()};
};

TEST_F(RingPortTest, NothingIsHeldInAFreshPage) {
  EXPECT_FALSE(port_.held());
}

TEST_F(RingPortTest, WhatIsHeldCountsOnceTheQueueHasPassedIt) {
  port_.set_consumed(1000);
  port_.hold(1000, 0, some_bytes(16));
  EXPECT_FALSE(port_.held()) << "the bytes are still in the queue";
  port_.set_consumed(1016);
  const auto held = port_.held();
  ASSERT_TRUE(held);
  EXPECT_EQ(held->index, 1000u);
  EXPECT_EQ(held->bytes, some_bytes(16));
}

TEST_F(RingPortTest, MoreIsAddedAndADeathBeforeTheIndexMovesLosesNothing) {
  port_.hold(0xffff'fff8, 0, some_bytes(10));
  port_.set_consumed(2);
  port_.hold(0xffff'fff8, 10, some_bytes(4, 11));
  ASSERT_TRUE(port_.held());
  EXPECT_EQ(port_.held()->bytes, some_bytes(10)) << "the new bytes are still in the queue";
  port_.set_consumed(6);
  ASSERT_TRUE(port_.held());
  EXPECT_EQ(port_.held()->bytes, some_bytes(14));
}

TEST_F(RingPortTest, OfAConsumedRequestNothingIsHeld) {
  port_.hold(40, 0, some_bytes(16));
  port_.set_consumed(56);
  port_.set_consumed(40 + 16 + 5);  // the whole of it
  EXPECT_FALSE(port_.held());
}

TEST_F(RingPortTest, AsMuchAsTheQueueIsLong) {
  port_.hold(7, 0, some_bytes(store::kRingBytes));
  port_.set_consumed(7 + store::kRingBytes);
  ASSERT_TRUE(port_.held());
  EXPECT_EQ(port_.held()->bytes, some_bytes(store::kRingBytes));
}

TEST_F(RingPortTest, AGuestThatWritesNonsenseThereHoldsNothing) {
  for (std::byte& byte : page_.bytes())
    byte = std::byte{0xff};
  EXPECT_FALSE(port_.held());
}

}  // namespace
}  // namespace ppvmm::replication

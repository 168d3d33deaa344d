#include "kernel/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ppvmm::kernel {
namespace {

TEST(Text, WritesWhatItIsGiven) {
  EXPECT_EQ(Text<64>("n=", 42, " ", -7, " ", true, ' ', Hex{0xBEEF}).view(), "n=42 -7 true 0xbeef");
  EXPECT_EQ(Text<64>(0, ",", Hex{0}).view(), "0,0x0");
}

TEST(Text, KnowsTheEndsOfTheRange) {
  EXPECT_EQ(Text<32>(std::numeric_limits<std::int64_t>::min()).view(), "-9223372036854775808");
  EXPECT_EQ(Text<32>(std::numeric_limits<std::uint64_t>::max()).view(), "18446744073709551615");
}

TEST(Text, CutsAndSaysSo) {
  Text<4> text("abcd");
  EXPECT_FALSE(text.cut());
  text.add('e');
  EXPECT_TRUE(text.cut());
  EXPECT_EQ(text.view(), "abcd");
}

TEST(Text, PadsDigits) {
  Text<16> text;
  text.digits(42, 10, 6);
  EXPECT_EQ(text.view(), "000042");
}

}  // namespace
}  // namespace ppvmm::kernel

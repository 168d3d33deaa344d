#include "kernel/start.hpp"

#include <gtest/gtest.h>

namespace ppvmm::kernel {
namespace {

TEST(FindOption, FindsWholeWordsOnly) {
  constexpr std::string_view kLine = "ports=3 port=7 verbose  name=a=b";
  EXPECT_EQ(find_option(kLine, "port"), "7");
  EXPECT_EQ(find_option(kLine, "verbose"), "");
  EXPECT_EQ(find_option(kLine, "name"), "a=b");
  EXPECT_FALSE(find_option(kLine, "por"));
  EXPECT_FALSE(find_option("", "port"));
}

TEST(FindOption, TheFirstOneWins) {
  EXPECT_EQ(find_option("a=1 a=2", "a"), "1");
}

TEST(FindNumber, TakesDecimalsThatFit) {
  EXPECT_EQ(find_number("a=18446744073709551615", "a"), 18446744073709551615u);
  EXPECT_FALSE(find_number("a=18446744073709551616", "a"));
  EXPECT_FALSE(find_number("a=0x10", "a"));
  EXPECT_FALSE(find_number("a=-1", "a"));
  EXPECT_FALSE(find_number("a=", "a"));
  EXPECT_FALSE(find_number("a", "a"));
}

}  // namespace
}  // namespace ppvmm::kernel

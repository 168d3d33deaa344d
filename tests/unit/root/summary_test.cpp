#include "root/summary.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace ppvmm::root {
namespace {

TEST(Summary, OfNothingIsZero) {
  const Summary summary = summarise({});
  EXPECT_EQ(summary.n, 0U);
  EXPECT_EQ(summary.max, 0.0);
}

TEST(Summary, OfOneValueIsThatValue) {
  const Summary summary = summarise({7.5});
  EXPECT_EQ(summary.n, 1U);
  for (const double value :
       {summary.mean, summary.p50, summary.p95, summary.p99, summary.min, summary.max}) {
    EXPECT_EQ(value, 7.5);
  }
}

TEST(Summary, PercentilesAreMeasuredValues) {
  std::vector<double> samples(200);
  std::iota(samples.rbegin(), samples.rend(), 1.0);  // 200 .. 1, unsorted on purpose
  const Summary summary = summarise(samples);
  EXPECT_EQ(summary.p50, 100.0);
  EXPECT_EQ(summary.p95, 190.0);
  EXPECT_EQ(summary.p99, 198.0);
  EXPECT_EQ(summary.min, 1.0);
  EXPECT_EQ(summary.max, 200.0);
  EXPECT_DOUBLE_EQ(summary.mean, 100.5);
}

}  // namespace
}  // namespace ppvmm::root

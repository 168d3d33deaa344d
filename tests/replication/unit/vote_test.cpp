// Votes name the odd one out, be it the primary.
#include "replication/vote.hpp"

#include <gtest/gtest.h>

namespace ppvmm::replication {
namespace {

using Digests = std::array<std::optional<std::uint64_t>, kReplicas>;

TEST(VoteTest, NamesTheOddOneOut) {
  const Digests digests[] = {{1, 2, 2}, {2, 1, 2}, {2, 2, 1}};
  for (std::size_t odd = 0; odd < kReplicas; ++odd) {
    const Vote result = vote(digests[odd]);
    EXPECT_EQ(result.verdict, Verdict::one_odd);
    EXPECT_EQ(result.odd, odd);
  }
}

TEST(VoteTest, AgreesOnlyWhenAllGivenVotesAreEqual) {
  EXPECT_EQ(vote({5, 5, 5}).verdict, Verdict::agreed);
  EXPECT_EQ(vote({5, std::nullopt, 5}).verdict, Verdict::agreed);
  EXPECT_EQ(vote({std::nullopt, 5, 5}).verdict, Verdict::agreed);
}

TEST(VoteTest, DoesNotGuess) {
  EXPECT_EQ(vote({1, 2, 3}).verdict, Verdict::no_majority);
  EXPECT_EQ(vote({1, 2, std::nullopt}).verdict, Verdict::no_majority);
  EXPECT_EQ(vote({1, std::nullopt, std::nullopt}).verdict, Verdict::not_enough);
  EXPECT_EQ(vote({std::nullopt, std::nullopt, std::nullopt}).verdict, Verdict::not_enough);
}

}  // namespace
}  // namespace ppvmm::replication

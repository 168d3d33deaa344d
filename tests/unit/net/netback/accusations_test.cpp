#include "net/netback/accusations.hpp"

#include <gtest/gtest.h>

namespace ppvmm::net {
namespace {

constexpr std::uint64_t kWindow = Accusations::kWindowNs;

TEST(AccusationsTest, TheFirstOffenceIsDoubted) {
  Accusations accusations;
  EXPECT_TRUE(accusations.offended(5));
}

TEST(AccusationsTest, TheSecondOneSoonAfterIsBelieved) {
  Accusations accusations;
  ASSERT_TRUE(accusations.offended(5));
  EXPECT_FALSE(accusations.offended(5 + kWindow - 1));
}

TEST(AccusationsTest, TheSecondOneLongAfterIsDoubtedAgain) {
  Accusations accusations;
  ASSERT_TRUE(accusations.offended(5));
  EXPECT_TRUE(accusations.offended(5 + kWindow));
  EXPECT_FALSE(accusations.offended(5 + kWindow + 1)) << "soon after the one before it";
}

TEST(AccusationsTest, NobodyIsDoubtedForEver) {
  Accusations patient;
  Accusations contradicted;
  for (unsigned i = 0; i < Accusations::kMost; ++i) {
    EXPECT_TRUE(patient.offended(i * kWindow));
    EXPECT_TRUE(contradicted.contradicted());
  }
  EXPECT_FALSE(patient.offended(Accusations::kMost * kWindow));
  EXPECT_FALSE(contradicted.contradicted());
}

TEST(AccusationsTest, AContradictionDoesNotMakeAnOffenceTheSecondOne) {
  Accusations accusations;
  EXPECT_TRUE(accusations.contradicted());
  EXPECT_TRUE(accusations.offended(1));
}

}  // namespace
}  // namespace ppvmm::net

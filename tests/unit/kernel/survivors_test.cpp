#include "kernel/survivors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace ppvmm::kernel {
namespace {

using abi::Survivor;
using abi::SurvivorKind;

Survivor page(std::uint32_t tag, std::uint64_t where = 0x1000) {
  return {.kind = SurvivorKind::pages,
          .domid = 3,
          .tag = tag,
          .id = 7,
          .peer = 1,
          .where = where,
          .sum = 0};
}

class SurvivorsTest : public ::testing::Test {
 protected:
  std::unique_ptr<abi::VitalsRegion> region_ = std::make_unique<abi::VitalsRegion>();
  Survivors table_{*region_};
};

TEST_F(SurvivorsTest, ZeroedMemoryIsAnEmptyTable) {
  const auto report = table_.verify();
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.intact, 0u);
}

TEST_F(SurvivorsTest, FindsByKindAndTag) {
  ASSERT_TRUE(table_.add(page(1, 0x1000)));
  ASSERT_TRUE(table_.add(page(2, 0x2000)));
  EXPECT_EQ(table_.find(SurvivorKind::pages, 2)->where, 0x2000u);
  EXPECT_FALSE(table_.find(SurvivorKind::port, 2));
  EXPECT_FALSE(table_.add(page(2))) << "a tag is used once";
  EXPECT_TRUE(table_.verify().good());
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(SurvivorsTest, ReplacesAndRemoves) {
  ASSERT_TRUE(table_.add(page(1)));
  EXPECT_TRUE(table_.replace(page(1, 0x9000)));
  EXPECT_EQ(table_.find(SurvivorKind::pages, 1)->where, 0x9000u);
  EXPECT_FALSE(table_.replace(page(5)));
  EXPECT_TRUE(table_.remove(SurvivorKind::pages, 1));
  EXPECT_FALSE(table_.remove(SurvivorKind::pages, 1));
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_TRUE(table_.verify().good());
}

TEST_F(SurvivorsTest, RefusesWhenFull) {
  for (std::uint32_t i = 0; i < abi::kSurvivors; ++i)
    ASSERT_TRUE(table_.add(page(i)));
  EXPECT_FALSE(table_.add(page(abi::kSurvivors)));
  EXPECT_TRUE(table_.verify().good());
}

TEST_F(SurvivorsTest, EveryFlippedBitIsFound) {
  ASSERT_TRUE(table_.add(page(1)));
  auto* const bytes = reinterpret_cast<unsigned char*>(region_->survivors.data());
  for (std::size_t bit = 0; bit < sizeof(Survivor) * 8; ++bit) {
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1u << bit % 8);
    EXPECT_FALSE(table_.verify().good()) << "bit " << bit;
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1u << bit % 8);
  }
  EXPECT_TRUE(table_.verify().good());
}

TEST_F(SurvivorsTest, AnEntryThatVanishedIsFound) {
  ASSERT_TRUE(table_.add(page(1)));
  ASSERT_TRUE(table_.add(page(2)));
  region_->survivors[1] = Survivor{};
  EXPECT_FALSE(table_.verify().good());
}

TEST_F(SurvivorsTest, AnEntryMovedElsewhereIsFound) {
  ASSERT_TRUE(table_.add(page(1)));
  region_->survivors[9] = region_->survivors[0];
  region_->survivors[0] = Survivor{};
  EXPECT_FALSE(table_.verify().good());
}

TEST_F(SurvivorsTest, DeathAtAnyPointOfAWriteLosesAtMostThatEntry) {
  // All states that writing entry 1 passes through, made by hand: announced, entry half written,
  // header half updated.
  ASSERT_TRUE(table_.add(page(1)));
  const abi::VitalsRegion before = *region_;
  ASSERT_TRUE(table_.add(page(2)));
  const abi::VitalsRegion after = *region_;
  const auto entry_bytes = sizeof(Survivor);
  for (std::size_t written = 0; written <= entry_bytes; ++written) {
    for (const bool header_done : {false, true}) {
      *region_ = before;
      region_->page.survivor_in_work = 2;
      std::memcpy(&region_->survivors[1], &after.survivors[1], written);
      if (header_done) {
        region_->page.survivors_sum = after.page.survivors_sum;
        region_->page.survivors_used = after.page.survivors_used;
      }
      const auto report = table_.verify();
      EXPECT_TRUE(report.good()) << written << " bytes";
      EXPECT_TRUE(table_.find(SurvivorKind::pages, 1)) << "the others stay";
      EXPECT_TRUE(table_.verify().good()) << "and a second look agrees";
    }
  }
}

}  // namespace
}  // namespace ppvmm::kernel

#include "net/netback/page_layout.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace ppvmm::net {
namespace {

RxLayout layout_of(const std::vector<std::uint16_t>& lengths, bool segmented = false) {
  std::vector<Fragment> fragments;
  fragments.reserve(lengths.size());
  for (const std::uint16_t length : lengths)
    fragments.push_back({.buffer = 0, .offset = 0, .length = length});
  return rx_layout_of(fragments, std::accumulate(lengths.begin(), lengths.end(), 0U), segmented);
}

TEST(PageLayoutTest, PiecesShareAPageAsLongAsTheyFitWhole) {
  PageLayout layout;
  EXPECT_EQ(layout.pages(), 0);
  const auto first = layout.add(66);
  const auto second = layout.add(4030);
  const auto third = layout.add(1);
  EXPECT_EQ(first.page, 0);
  EXPECT_EQ(first.offset, 0);
  EXPECT_EQ(second.page, 0);
  EXPECT_EQ(second.offset, 66);
  EXPECT_EQ(third.page, 1);
  EXPECT_EQ(third.offset, 0);
  EXPECT_EQ(layout.pages(), 2);
}

TEST(PageLayoutTest, WhatDoesNotFitBeginsTheNextPage) {
  PageLayout layout;
  static_cast<void>(layout.add(66));
  const auto page = layout.add(4096);
  EXPECT_EQ(page.page, 1);
  EXPECT_EQ(page.offset, 0);
}

TEST(RxLayoutTest, AHeaderAndPagesStayWhole) {
  std::vector<std::uint16_t> lengths(17, 4096);
  lengths.front() = 66;
  const auto layout = layout_of(lengths, true);
  EXPECT_TRUE(layout.whole);
  EXPECT_EQ(layout.slots, 18U) << "seventeen, and the segmentation info";
}

TEST(RxLayoutTest, NeverMoreThanEveryFrontEndMustTake) {
  std::vector<std::uint16_t> lengths(18, 3700);  // fits in seventeen
  const auto layout = layout_of(lengths);
  EXPECT_TRUE(layout.whole);
  EXPECT_EQ(layout.slots, 18U);
}

TEST(RxLayoutTest, SegmentsFromTheWireFillTheBuffers) {
  const std::vector<std::uint16_t> lengths(18, 1448);  // two to a page: nine, but seven suffice
  const auto layout = layout_of(lengths);
  EXPECT_FALSE(layout.whole);
  EXPECT_EQ(layout.slots, 7U);
}

TEST(RxLayoutTest, WhatFitsOneBufferTakesOne) {
  EXPECT_EQ(layout_of({66, 1448}).slots, 1U);
  EXPECT_EQ(layout_of({1, 4095}).slots, 1U) << "a front-end without scatter-gather";
  EXPECT_EQ(layout_of({4096}).slots, 1U);
}

}  // namespace
}  // namespace ppvmm::net

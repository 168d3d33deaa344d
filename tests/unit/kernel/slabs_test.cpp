#include "kernel/slabs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <vector>

namespace ppvmm::kernel {
namespace {

class SlabsTest : public ::testing::Test {
 protected:
  static constexpr Frame kTotal = 64;
  struct alignas(kFrameBytes) Page {
    std::byte bytes[kFrameBytes];
  };
  std::vector<Page> memory_ = std::vector<Page>(kTotal);
  std::vector<FrameInfo> info_ = std::vector<FrameInfo>(kTotal);
  Frames frames_{info_};
  Slabs slabs_{frames_, memory_.front().bytes};

  void SetUp() override { frames_.give(0, kTotal); }
};

TEST(SlabClass, IsTheSmallestThatHolds) {
  for (std::size_t bytes = 0; bytes <= kLargestSlabObject; ++bytes) {
    const std::size_t size_class = slab_class(bytes);
    ASSERT_GE(kSlabSizes[size_class], bytes);
    if (size_class > 0) {
      ASSERT_LT(kSlabSizes[size_class - 1], std::max<std::size_t>(bytes, 1));
    }
  }
}

TEST(SlabClass, WastesLittleOfAPage) {
  for (std::size_t i = 0; i < kSlabSizes.size(); ++i) {
    EXPECT_LE(kFrameBytes - slab_objects(i) * kSlabSizes[i], kFrameBytes / 16) << kSlabSizes[i];
  }
}

TEST_F(SlabsTest, FillsAPageBeforeTheNext) {
  const std::size_t size_class = slab_class(64);
  std::set<void*> objects;
  for (int i = 0; i < 64; ++i)
    objects.insert(slabs_.take(size_class));
  EXPECT_EQ(objects.size(), 64u);
  EXPECT_EQ(slabs_.pages(), 1u);
  (void)slabs_.take(size_class);
  EXPECT_EQ(slabs_.pages(), 2u);
  EXPECT_EQ(slabs_.objects(size_class), 65u);
}

TEST_F(SlabsTest, ReusesTheLastReleasedFirst) {
  const std::size_t size_class = slab_class(100);
  (void)slabs_.take(size_class);
  void* const second = slabs_.take(size_class);
  EXPECT_TRUE(slabs_.release(second));
  EXPECT_EQ(slabs_.take(size_class), second);
}

TEST_F(SlabsTest, EmptyPagesGoBackExceptOnePerClass) {
  const std::size_t size_class = slab_class(1024);
  std::vector<void*> objects;
  for (int i = 0; i < 16; ++i)
    objects.push_back(slabs_.take(size_class));
  EXPECT_EQ(slabs_.pages(), 4u);
  for (void* const object : objects)
    ASSERT_TRUE(slabs_.release(object));
  EXPECT_EQ(slabs_.pages(), 1u);
  EXPECT_EQ(frames_.free_frames(), kTotal - 1);
}

TEST_F(SlabsTest, SaysNullWhenMemoryIsOut) {
  const std::size_t size_class = slab_class(2048);
  for (Frame i = 0; i < kTotal * 2; ++i)
    ASSERT_NE(slabs_.take(size_class), nullptr);
  EXPECT_EQ(slabs_.take(size_class), nullptr);
  EXPECT_EQ(slabs_.take(slab_class(16)), nullptr);
}

TEST_F(SlabsTest, RefusesWhatIsNoObject) {
  auto* const object = static_cast<std::byte*>(slabs_.take(slab_class(48)));
  EXPECT_FALSE(slabs_.release(object + 16)) << "inside an object";
  EXPECT_FALSE(slabs_.release(object + 48)) << "never handed out";
  EXPECT_FALSE(slabs_.release(memory_.back().bytes)) << "a page that is no slab";
  EXPECT_TRUE(slabs_.release(object));
  EXPECT_FALSE(slabs_.release(object)) << "the page is empty";
}

TEST_F(SlabsTest, RandomUseKeepsContents) {
  struct Held {
    unsigned char* memory;
    std::size_t size;
    unsigned char mark;
  };
  std::mt19937 random(7);
  std::vector<Held> held;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0 || held.empty()) {
      const std::size_t size = 1 + random() % 600;
      auto* const memory = static_cast<unsigned char*>(slabs_.take(slab_class(size)));
      if (memory == nullptr) continue;
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0u);
      const auto mark = static_cast<unsigned char>(random());
      std::memset(memory, mark, size);
      held.push_back({memory, size, mark});
    } else {
      std::swap(held[random() % held.size()], held.back());
      const Held& last = held.back();
      ASSERT_TRUE(std::all_of(last.memory, last.memory + last.size,
                              [&](unsigned char byte) { return byte == last.mark; }));
      ASSERT_TRUE(slabs_.release(last.memory));
      held.pop_back();
    }
  }
}

}  // namespace
}  // namespace ppvmm::kernel

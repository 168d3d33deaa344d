#include <gtest/gtest.h>

#include <array>

#include "packet.hpp"
#include "tally.hpp"

namespace ppvmm::udpseq {
namespace {

TEST(CounterTest, LostDuplicatedAndReorderedAreDifferentThings) {
  Counter counter(10);
  std::uint64_t now = 0;
  for (const int number : {0, 1, 3, 2, 3, 3, 9, 10, 11})
    counter.arrived(static_cast<std::uint64_t>(number), now += 5);
  const Tally& tally = counter.tally();
  EXPECT_EQ(tally.received, 9u);
  EXPECT_EQ(tally.unique, 5u);
  EXPECT_EQ(tally.duplicated, 2u);
  EXPECT_EQ(tally.reordered, 1u);
  EXPECT_EQ(tally.foreign, 2u) << "10 and 11 were never sent";
  EXPECT_EQ(tally.lost(10), 5u);
  EXPECT_EQ(counter.end(), 10u);
}

TEST(CounterTest, TheLongestSilenceIsBetweenArrivals) {
  Counter counter(100);
  counter.arrived(0, 1'000'000);
  counter.arrived(1, 1'000'010);
  counter.arrived(2, 1'000'500);
  counter.arrived(3, 1'000'501);
  EXPECT_EQ(counter.tally().longest_silence_ns, 490u);
  EXPECT_EQ(counter.tally().silence_before, 2u);
}

TEST(PacketTest, DamageIsSeen) {
  std::array<std::byte, 200> packet{};
  const Header header{
      .magic = kMagic, .kind = Kind::data, .run = 7, .number = 42, .rate = 0, .limit = 100};
  fill(packet, header);
  const auto read = header_of(packet);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 42u);
  EXPECT_TRUE(intact(packet, *read));
  packet[150] ^= std::byte{1};
  EXPECT_FALSE(intact(packet, *read));
  packet[0] ^= std::byte{1};
  EXPECT_FALSE(header_of(packet));
  EXPECT_FALSE(header_of(std::span(packet).first(20)));
}

}  // namespace
}  // namespace ppvmm::udpseq

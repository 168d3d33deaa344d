#include <gtest/gtest.h>

#include <array>

#include "journal.hpp"
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

/// A run whose packets are sent every 10 ns from 0 on.
Journal journal_of(int packets) {
  Journal journal(15);
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(packets); ++i)
    journal.sent(i * 10);
  return journal;
}

TEST(JournalTest, EachLossThereHasItsTime) {
  Journal journal = journal_of(20);
  journal.arrived(0, {.end = 5, .unique = 5}, 50);
  journal.arrived(1, {.end = 8, .unique = 6}, 60);
  journal.arrived(2, {.end = 10, .unique = 8}, 70);
  EXPECT_EQ(journal.served_ns(), 90u);
  journal.end_there(17, 300);
  ASSERT_EQ(journal.losses_there().size(), 2u);
  EXPECT_EQ(journal.losses_there()[0].first, 5u);
  EXPECT_EQ(journal.losses_there()[0].last, 7u);
  EXPECT_EQ(journal.losses_there()[0].lost, 2u);
  EXPECT_EQ(journal.losses_there()[0].known_ns, 60u);
  EXPECT_EQ(journal.losses_there()[1].lost, 1u) << "behind the last answer";
  EXPECT_EQ(journal.losses_there()[1].known_ns, 300u);
  EXPECT_TRUE(journal.gaps().empty()) << "the end of a run is no gap";
}

TEST(JournalTest, WhatComesLateIsNotLost) {
  Journal journal = journal_of(20);
  journal.arrived(0, {.end = 5, .unique = 4}, 50);
  journal.arrived(3, {.end = 6, .unique = 6}, 60);
  EXPECT_TRUE(journal.losses_there().empty());
  ASSERT_EQ(journal.losses_back().size(), 1u);
  EXPECT_EQ(journal.losses_back()[0].lost, 2u);
  journal.arrived(2, {.end = 5, .unique = 5}, 61);  // an old answer changes nothing
  EXPECT_TRUE(journal.losses_there().empty());
  journal.end_back(6, 100);
  const auto losses = journal.losses_back();
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_EQ(losses[0].first, 1u);
  EXPECT_EQ(losses[0].known_ns, 60u);
  EXPECT_EQ(losses[1].first, 4u);
  EXPECT_EQ(losses[1].last, 5u);
  EXPECT_EQ(losses[1].known_ns, 100u);
}

TEST(JournalTest, ASilenceIsThatOfWhatGetsThere) {
  Journal journal = journal_of(20);
  journal.arrived(0, {.end = 2, .unique = 2}, 20);
  for (std::uint64_t i = 1; i < 5; ++i)
    journal.arrived(i, {.end = 2, .unique = 2}, 20 + i * 10);  // it answers, but hears nothing
  journal.arrived(5, {.end = 9, .unique = 9, .foreign = 1}, 75);
  ASSERT_EQ(journal.gaps().size(), 1u);
  EXPECT_EQ(journal.gaps()[0].begin_ns, 20u);
  EXPECT_EQ(journal.gaps()[0].end_ns, 75u);
  ASSERT_EQ(journal.damages_there().size(), 1u);
  EXPECT_EQ(journal.damages_there()[0].known_ns, 75u);
  journal.arrived(6, {.end = 99, .unique = 99}, 80);  // more than was sent
  EXPECT_EQ(journal.served_ns(), 80u);
}

TEST(PacketTest, DamageIsSeen) {
  std::array<std::byte, 200> packet{};
  const Header header{.magic = kMagic,
                      .kind = Kind::data,
                      .run = 7,
                      .number = 42,
                      .rate = 0,
                      .limit = 100,
                      .heard = {.end = 3, .unique = 2, .foreign = 0}};
  fill(packet, header);
  const auto read = header_of(packet);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 42u);
  EXPECT_TRUE(intact(packet, *read));
  packet[50] ^= std::byte{1};
  EXPECT_FALSE(intact(packet, *header_of(packet))) << "what the header says is content as well";
  packet[50] ^= std::byte{1};
  packet[150] ^= std::byte{1};
  EXPECT_FALSE(intact(packet, *read));
  packet[0] ^= std::byte{1};
  EXPECT_FALSE(header_of(packet));
  EXPECT_FALSE(header_of(std::span(packet).first(20)));
}

}  // namespace
}  // namespace ppvmm::udpseq

// The region: hostile or damaged memory is refused, sealed words and intents notice flipped bits.
#include "replication/region.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "../memory.hpp"
#include "replication/replica_set.hpp"
#include "replication/sealed.hpp"

namespace ppvmm::replication {
namespace {

using test::kSmall;

constexpr std::uint64_t kKey = 42;

Intent intent_with(std::uint64_t serial, std::uint64_t in_after) {
  Intent intent{};
  intent.serial = serial;
  intent.in_after = in_after;
  return intent;
}

TEST(RegionTest, OpensWhatWasFormatted) {
  auto memory = test::region_memory();
  EXPECT_FALSE(Region::open(memory.shared())) << "zeroed memory";
  ASSERT_TRUE(Region::format(memory.shared(), kSmall, kKey));
  const auto region = Region::open(memory.shared());
  ASSERT_TRUE(region);
  EXPECT_EQ(region->geometry(), kSmall);
  EXPECT_EQ(region->key(), kKey);
  EXPECT_EQ(region->membership(), (Membership{0, Membership::State::joining}));
}

TEST(RegionTest, EveryFlippedBitOfTheIdentityIsRefused) {
  auto memory = test::region_memory();
  ASSERT_TRUE(Region::format(memory.shared(), kSmall, kKey));
  for (std::size_t at = 0; at < sizeof(Identity); ++at) {
    memory.flip(at, static_cast<unsigned>(at % 8));
    EXPECT_FALSE(Region::open(memory.shared())) << at;
    memory.flip(at, static_cast<unsigned>(at % 8));
  }
  EXPECT_TRUE(Region::open(memory.shared()));
}

TEST(RegionTest, RefusesSizesThatDoNotFit) {
  test::Memory memory{region_bytes(kSmall) - 8};
  EXPECT_EQ(Region::format(memory.shared(), kSmall, kKey).error(), RegionError::bad_geometry);
  auto enough = test::region_memory();
  constexpr std::uint64_t kKiB = 1 << 10;
  for (const Geometry& wrong :
       {Geometry{kKiB, 64 * kKiB, 32}, Geometry{65 * kKiB, 64 * kKiB, 32},
        Geometry{64 * kKiB, 100, 32}, Geometry{64 * kKiB, 64 * kKiB, 0},
        Geometry{64 * kKiB, 64 * kKiB, 33}, Geometry{1ull << 40, 64 * kKiB, 32}}) {
    EXPECT_FALSE(Region::format(enough.shared(), wrong, kKey));
  }
}

TEST(RegionTest, FormattingForgetsTheFormerLife) {
  auto memory = test::region_memory();
  auto region = *Region::format(memory.shared(), kSmall, kKey);
  region.set_membership({7, Membership::State::member});
  region.set_intent(3, intent_with(5, 0));
  region.set_digest(9, 99);
  region = *Region::format(memory.shared(), kSmall, kKey);
  EXPECT_EQ(region.membership(), (Membership{0, Membership::State::joining}));
  EXPECT_FALSE(region.intent(3, 5));
  EXPECT_FALSE(region.digest(9));
}

TEST(RegionTest, IntentsAndDigestsNoticeFlips) {
  auto memory = test::region_memory();
  auto region = *Region::format(memory.shared(), kSmall, kKey);
  region.set_intent(31, intent_with(4, 100));
  region.set_intent(31, intent_with(5, 130));
  ASSERT_TRUE(region.intent(31, 4));
  EXPECT_EQ(region.intent(31, 4)->in_after, 100u);
  EXPECT_EQ(region.intent(31, 5)->in_after, 130u);
  memory.flip(kIntentsOffset + 31 * 128 + 17, 2);  // the even half
  EXPECT_FALSE(region.intent(31, 4));
  EXPECT_TRUE(region.intent(31, 5));

  region.set_digest(64 + 3, 0xD16E57);
  EXPECT_EQ(region.digest(64 + 3), 0xD16E57u);
  EXPECT_FALSE(region.digest(3)) << "another lap of the digest ring";
  memory.flip(kDigestsOffset + 3 * sizeof(Digest) + 8, 0);
  EXPECT_FALSE(region.digest(64 + 3));
}

TEST(RegionTest, MembershipIsAllOrNothing) {
  auto memory = test::region_memory();
  auto region = *Region::format(memory.shared(), kSmall, kKey);
  const Membership membership{123456, Membership::State::dropped};
  region.set_membership(membership);
  EXPECT_EQ(region.membership(), membership);
  for (unsigned bit = 0; bit < 64; ++bit) {
    memory.flip(kMembershipOffset + bit / 8, bit % 8);
    EXPECT_FALSE(region.membership()) << bit;
    memory.flip(kMembershipOffset + bit / 8, bit % 8);
  }
}

TEST(SealedTest, OneWordDoesNotPassForAnother) {
  const std::uint64_t word = seal(kKey, kReleasedOffset, 77);
  EXPECT_EQ(unseal(kKey, kReleasedOffset, word), 77u);
  EXPECT_FALSE(unseal(kKey, kAppliedOffset, word));
  EXPECT_FALSE(unseal(kKey + 1, kReleasedOffset, word));
  EXPECT_FALSE(unseal(kKey, kReleasedOffset, 0)) << "zeroed memory";
}

TEST(RegionTest, AnIntentComesBackWithAllItsFields) {
  auto memory = test::region_memory();
  Region region = *Region::format(memory.shared(), kSmall, kKey);
  const Intent intent{.serial = 0x0101020203030404,
                      .epoch = 0x1112131415161718,
                      .in_after = 0x2122232425262728,
                      .out_after = 0x3132333435363738,
                      .logged_after = 0x4142434445464748,
                      .in_count = 0x51525354,
                      .out_count = 0x61626364,
                      .logged_count = 0x71727374,
                      .domid = 0x8182,
                      .reserved = 0x9192,
                      .check = 0};
  region.set_intent(5, intent);
  auto found = region.intent(5, intent.serial);
  ASSERT_TRUE(found);
  found->check = 0;
  EXPECT_EQ(std::memcmp(&*found, &intent, sizeof intent), 0);
}

TEST(SealedReaderTest, ChecksEveryWordThatIsNotTheLastGoodOne) {
  constexpr std::uint64_t key = 99;
  constexpr std::uint64_t place = 128;
  SealedReader reader;
  EXPECT_EQ(reader.read(key, place, 0), std::nullopt);
  EXPECT_EQ(reader.read(key, place, 0), std::nullopt);  // a bad word does not become good
  const std::uint64_t word = seal(key, place, 4711);
  EXPECT_EQ(reader.read(key, place, word), 4711u);
  EXPECT_EQ(reader.read(key, place, word), 4711u);
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(reader.read(key, place, word ^ (std::uint64_t{1} << bit)), std::nullopt) << bit;
  }
  EXPECT_EQ(reader.read(key, place, seal(key, place, 4712)), 4712u);
}

TEST(ReplicaSetTest, DropsAMemberWhoseWordIsDamagedAfterItWasGood) {
  std::array<test::Memory, kBackups> memories{test::region_memory(), test::region_memory()};
  ReplicaSet set;
  for (std::size_t i = 0; i < kBackups; ++i) {
    Region region = *Region::format(memories[i].shared(), test::kSmall, 99);
    region.set_word(kReleasedOffset, 0);
    set.adopt(i, std::move(region));
  }
  EXPECT_EQ(set.blocked({}, 100), std::nullopt);
  EXPECT_EQ(set.blocked({}, test::kSmall.log_bytes + 1), 0u);
  EXPECT_EQ(set.members(), 2u);
  memories[1].flip(kReleasedOffset, 3);
  EXPECT_EQ(set.blocked({}, 100), std::nullopt);
  EXPECT_EQ(set.members(), 1u);
  EXPECT_FALSE(set.is_member(1));
}

}  // namespace
}  // namespace ppvmm::replication

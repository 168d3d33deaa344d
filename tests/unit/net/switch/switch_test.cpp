#include "net/switch/switch.hpp"

#include <gtest/gtest.h>

#include "net/switch/token_bucket.hpp"

namespace ppvmm::net {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

MacAddress station(std::uint8_t which) {
  return {0x00, 0x16, 0x3E, 0, 0, which};
}

std::vector<std::byte> frame(const MacAddress& to, const MacAddress& from,
                             std::uint16_t type = 0x88B5) {
  std::vector<std::byte> bytes(64);
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = std::byte{to[i]};
    bytes[6 + i] = std::byte{from[i]};
  }
  store16(bytes, 12, type);
  return bytes;
}

class SwitchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(switch_.add_port(kWire, {}));
    for (const PortId port : {PortId{1}, PortId{2}})
      ASSERT_TRUE(
          switch_.add_port(port, {.address = station(port), .only_own = false, .ipv4 = {}}));
  }
  Decision decide(const MacAddress& to, const MacAddress& from, PortId port,
                  std::uint64_t now = kSecond) {
    return switch_.decide(frame(to, from), port, now);
  }
  Switch switch_;
};

TEST_F(SwitchTest, UnknownStationsAreFloodedUntilHeard) {
  EXPECT_EQ(decide(station(99), station(1), 1).verdict, Verdict::flood);
  EXPECT_EQ(decide(station(1), station(99), kWire).verdict, Verdict::unicast);
  const Decision answer = decide(station(99), station(1), 1);
  EXPECT_EQ(answer.verdict, Verdict::unicast);
  EXPECT_EQ(answer.port, kWire);
  EXPECT_EQ(decide(station(99), station(1), 1, 302 * kSecond).verdict, Verdict::flood) << "aged";
}

TEST_F(SwitchTest, ConfiguredStationsAreKnownFromTheStartAndCannotBeStolen) {
  EXPECT_EQ(decide(station(2), station(1), 1).port, 2);
  EXPECT_EQ(decide(station(99), station(2), 1).verdict, Verdict::spoofed);
  EXPECT_EQ(decide(station(2), station(1), 1, 1000 * kSecond).port, 2) << "pins do not age";
  EXPECT_FALSE(switch_.add_port(3, {.address = station(2), .only_own = false, .ipv4 = {}}));
  switch_.remove_port(2);
  EXPECT_EQ(decide(station(2), station(1), 1).verdict, Verdict::flood);
  EXPECT_TRUE(switch_.add_port(3, {.address = station(2), .only_own = false, .ipv4 = {}}));
}

TEST_F(SwitchTest, StationsMove) {
  (void)decide(station(1), station(99), kWire);
  (void)decide(station(1), station(99), 2);
  EXPECT_EQ(decide(station(99), station(1), 1).port, 2);
  EXPECT_EQ(switch_.table().statistics().moved, 1u);
  EXPECT_EQ(switch_.table().entries_of(kWire), 0u);
  EXPECT_EQ(decide(station(99), station(50), 2).verdict, Verdict::same);
}

TEST_F(SwitchTest, LinkLocalGroupsStayOnTheirLink) {
  EXPECT_EQ(decide({0x01, 0x80, 0xC2, 0, 0, 0x0E}, station(1), 1).verdict, Verdict::local);
  EXPECT_EQ(decide({0x01, 0x80, 0xC2, 0, 0, 0x21}, station(1), 1).verdict, Verdict::flood);
  EXPECT_EQ(decide({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, station(1), 1).verdict, Verdict::flood);
  EXPECT_EQ(decide(station(2), {0x01, 0, 0, 0, 0, 1}, 1).verdict, Verdict::spoofed);
}

TEST_F(SwitchTest, OnePortCannotFillTheTable) {
  (void)decide(station(1), {0x02, 9, 9, 9, 9, 9}, 2);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const MacAddress invented{0x02,
                              0,
                              0,
                              static_cast<std::uint8_t>(i >> 16),
                              static_cast<std::uint8_t>(i >> 8),
                              static_cast<std::uint8_t>(i)};
    (void)decide(station(2), invented, 1);
  }
  EXPECT_LE(switch_.table().entries_of(1), AddressTable::kVifShare);
  EXPECT_GT(switch_.table().statistics().refused_full, 4000u);
  EXPECT_EQ(decide({0x02, 9, 9, 9, 9, 9}, station(1), 1).port, 2) << "others' entries stay";
}

TEST_F(SwitchTest, AntiSpoofing) {
  ASSERT_TRUE(switch_.add_port(
      5, {.address = station(5), .only_own = true, .ipv4 = parse_ipv4_list("10.0.0.5 fe80::1")}));
  EXPECT_EQ(decide(station(1), station(77), 5).verdict, Verdict::spoofed) << "not its address";
  EXPECT_EQ(decide(station(1), station(5), 5).verdict, Verdict::spoofed) << "no IPv4, no ARP";
  auto ip = frame(station(1), station(5), 0x0800);
  ip[14] = std::byte{0x45};
  store32(ip, 26, 0x0A000005);
  EXPECT_EQ(switch_.decide(ip, 5, kSecond).verdict, Verdict::unicast);
  store32(ip, 26, 0x0A000006);
  EXPECT_EQ(switch_.decide(ip, 5, kSecond).verdict, Verdict::spoofed);
  auto arp = frame(station(1), station(5), 0x0806);
  for (std::size_t i = 0; i < 6; ++i)
    arp[22 + i] = std::byte{station(5)[i]};
  store32(arp, 28, 0x0A000005);
  EXPECT_EQ(switch_.decide(arp, 5, kSecond).verdict, Verdict::unicast);
  store32(arp, 28, 0x0A000001);
  EXPECT_EQ(switch_.decide(arp, 5, kSecond).verdict, Verdict::spoofed) << "another's address";
  store32(arp, 28, 0x0A000005);
  arp[27] = std::byte{6};
  EXPECT_EQ(switch_.decide(arp, 5, kSecond).verdict, Verdict::spoofed) << "another's hardware";
}

TEST_F(SwitchTest, RuntsAndForeignPorts) {
  EXPECT_EQ(switch_.decide({}, 1, 0).verdict, Verdict::runt);
  EXPECT_EQ(decide(station(1), station(9), 40).verdict, Verdict::runt);
}

TEST(ParseTest, Addresses) {
  EXPECT_EQ(parse_mac("00:16:3e:00:00:0A"), station(10));
  for (const char* const bad : {"", "00:16:3e:00:00", "00:16:3e:00:00:0g", "00-16-3e-00-00-0a",
                                "00:16:3e:00:00:0a:", "0x:16:3e:00:00:0a"}) {
    EXPECT_FALSE(parse_mac(bad)) << bad;
  }
  EXPECT_EQ(parse_ipv4_list("10.0.0.1 300.1.1.1 192.168.7.255 1.2.3").size(), 2u);
  EXPECT_EQ(parse_ipv4_list("10.0.0.1")[0], 0x0A000001u);
}

TEST(TokenBucketTest, ParsesWhatLibxlWrites) {
  EXPECT_EQ(parse_rate("62500,50000"), (RateLimit{62500, 50000}));
  for (const char* const bad : {"", "1", "1,", ",5", "0,5", "5,0", "5,5x", "-1,5"})
    EXPECT_FALSE(parse_rate(bad)) << bad;
  const auto huge = parse_rate("4000000000000,50000");
  ASSERT_TRUE(huge);
  EXPECT_NEAR(static_cast<double>(huge->bytes) / huge->interval_us, 4e12 / 50000, 2e6);
}

TEST(TokenBucketTest, TheRateIsKept) {
  // 1 MB/s in intervals of 10 ms, a greedy sender of 1500-byte packets for ten seconds.
  const RateLimit limit{10'000, 10'000};
  TokenBucket bucket(limit, 0);
  std::uint64_t sent = 0;
  std::uint64_t now = 0;
  while (now < 10 * kSecond) {
    if (bucket.open(now)) {
      bucket.spend(1500);
      sent += 1500;
    } else {
      const std::uint64_t next = bucket.opens_at(now);
      ASSERT_GT(next, now);
      now = next;
    }
  }
  EXPECT_NEAR(static_cast<double>(sent), 10e6, 70e3);
}

TEST(TokenBucketTest, LongSilenceGivesOneBurstAndNoOverflow) {
  TokenBucket bucket({1'000'000, 1}, 0);
  bucket.spend(1'000'000'000);
  EXPECT_FALSE(bucket.open(1));
  EXPECT_TRUE(bucket.open(std::uint64_t{1} << 62));
  bucket.spend(1'000'000);
  EXPECT_FALSE(bucket.open(std::uint64_t{1} << 62)) << "no more than one interval was saved";
  EXPECT_TRUE(TokenBucket().open(0));
  EXPECT_FALSE(TokenBucket().limited());
}

}  // namespace
}  // namespace ppvmm::net

#include "net/netback/offload.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "net/netback/coalesce.hpp"
#include "support/net_guest.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;

/// A TCP or UDP packet over IPv4 or IPv6, its layer-4 checksum left to whoever sends it.
Bytes packet(bool v6, bool tcp, std::size_t payload) {
  const std::size_t ip = v6 ? 40 : 20;
  const std::size_t four = tcp ? 32 : 8;
  Bytes bytes = test::ethernet(2, 1, 14 + ip + four + payload, 7);
  std::span<std::byte> all(bytes);
  store16(all, 12, v6 ? 0x86DD : 0x0800);
  const auto header = all.subspan(14, ip);
  std::ranges::fill(header, std::byte{});
  if (v6) {
    header[0] = std::byte{0x60};
    store16(header, 4, static_cast<std::uint16_t>(four + payload));
    header[6] = std::byte{static_cast<std::uint8_t>(tcp ? 6 : 17)};
    header[7] = std::byte{64};
    for (std::size_t i = 8; i < 40; ++i)
      header[i] = static_cast<std::byte>(i * 5);
  } else {
    header[0] = std::byte{0x45};
    store16(header, 2, static_cast<std::uint16_t>(ip + four + payload));
    store16(header, 4, 0x1234);
    header[8] = std::byte{64};
    header[9] = std::byte{static_cast<std::uint8_t>(tcp ? 6 : 17)};
    store32(header, 12, 0x0A000001);
    store32(header, 16, 0x0A000002);
    store16(header, 10, static_cast<std::uint16_t>(~folded(sum_of(header, 0))));
  }
  const std::size_t at = 14 + ip;
  if (tcp) {
    store32(all, at + 4, 0xFFFFFF00);
    all[at + 12] = std::byte{0x80};  // eight words
    all[at + 13] = std::byte{0x99};  // CWR ACK PSH FIN
  } else {
    store16(all, at + 4, static_cast<std::uint16_t>(four + payload));
  }
  std::uint64_t pseudo = sum_of(header.subspan(v6 ? 8 : 12, v6 ? 32 : 8), 0);
  pseudo += (tcp ? 6 : 17) + four + payload;
  store16(all, at + (tcp ? 16 : 6), folded(pseudo));
  return bytes;
}

/// Whether the layer-4 checksum of a whole packet is right.
bool checksum_good(const Bytes& bytes) {
  const PacketHeaders headers = parse_headers(bytes);
  const bool v6 = headers.network == Network::ipv6;
  const std::span<const std::byte> all(bytes);
  const std::size_t length = bytes.size() - headers.transport_start;
  std::uint64_t sum = sum_of(all.subspan(headers.network_start + (v6 ? 8u : 12u), v6 ? 32 : 8), 0);
  sum += (headers.transport == Transport::tcp ? 6u : 17u) + length;
  return folded(sum_of(all.subspan(headers.transport_start), sum)) == 0xFFFF;
}

Bytes bytes_of(const Frame& frame) {
  Bytes bytes(frame.length());
  EXPECT_EQ(frame.copy_out(0, bytes), bytes.size());
  return bytes;
}

class OffloadTest : public ::testing::TestWithParam<std::tuple<bool, bool, int>> {
 protected:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBufferBytes * 64);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(64);
  BufferPool pool_{memory_.data(), dma_, 64};

  Frame frame_of(const Bytes& bytes) {
    Frame frame = pool_.frame_of(bytes.size(), 1001);
    EXPECT_TRUE(frame);
    EXPECT_EQ(frame.copy_in(0, bytes), bytes.size());
    frame.offload().checksum_blank = true;
    frame.tag() = 77;
    return frame;
  }
};

TEST_P(OffloadTest, BlankChecksumsAreCompletedForWhoCannot) {
  const auto [v6, tcp, payload] = GetParam();
  Frame frame = frame_of(packet(v6, tcp, static_cast<std::size_t>(payload)));
  ASSERT_TRUE(locate_checksum(frame, headers_of(frame)));
  std::vector<Frame> out;
  EXPECT_EQ(
      adapt(frame, {.checksum_v4 = !v6, .checksum_v6 = v6, .gso_v4 = {}, .gso_v6 = {}}, pool_, out),
      Adapted::as_is);
  ASSERT_EQ(adapt(frame, {}, pool_, out), Adapted::replaced);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(checksum_good(bytes_of(out[0])));
  EXPECT_FALSE(out[0].offload().checksum_blank);
  EXPECT_EQ(out[0].tag(), 77u);
  EXPECT_FALSE(checksum_good(bytes_of(frame))) << "the original is left alone";
}

INSTANTIATE_TEST_SUITE_P(All, OffloadTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(1, 64, 1447, 9001)));

TEST_F(OffloadTest, SegmentsAreWholePackets) {
  for (const bool v6 : {false, true}) {
    const Bytes whole = packet(v6, true, 10'000);
    Frame frame = frame_of(whole);
    frame.offload().gso = v6 ? Gso::tcp_v6 : Gso::tcp_v4;
    frame.offload().gso_size = 1448;
    ASSERT_TRUE(locate_checksum(frame, headers_of(frame)));
    std::vector<Frame> out;
    ASSERT_EQ(adapt(frame, {.checksum_v4 = true, .checksum_v6 = true, .gso_v4 = {}, .gso_v6 = {}},
                    pool_, out),
              Adapted::replaced);
    ASSERT_EQ(out.size(), 7u);
    const PacketHeaders headers = parse_headers(whole);
    std::uint32_t sequence = 0xFFFFFF00;
    Bytes payload;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const Bytes bytes = bytes_of(out[i]);
      EXPECT_TRUE(checksum_good(bytes)) << i;
      EXPECT_EQ(load32(bytes, headers.transport_start + 4u), sequence) << "wraps around";
      const auto flags = std::to_integer<unsigned>(bytes[headers.transport_start + 13u]);
      EXPECT_EQ((flags & 0x80) != 0, i == 0) << "CWR only in the first";
      EXPECT_EQ((flags & 0x09) != 0, i + 1 == out.size()) << "FIN and PSH only in the last";
      const std::size_t ip_bytes = bytes.size() - 14;
      if (v6) {
        EXPECT_EQ(load16(bytes, 18), ip_bytes - 40);
      } else {
        EXPECT_EQ(load16(bytes, 16), ip_bytes);
        EXPECT_EQ(load16(bytes, 18), 0x1234 + i);
        EXPECT_EQ(folded(sum_of(std::span(bytes).subspan(14, 20), 0)), 0xFFFF);
      }
      payload.insert(payload.end(), bytes.begin() + headers.payload_start, bytes.end());
      sequence += static_cast<std::uint32_t>(bytes.size() - headers.payload_start);
    }
    EXPECT_EQ(payload, Bytes(whole.begin() + headers.payload_start, whole.end()));
  }
}

/// Segments of one packet, as a card delivers them.
std::vector<Frame> segments_of(BufferPool& pool, Frame& frame, std::uint16_t size) {
  const PacketHeaders headers = headers_of(frame);
  frame.offload().gso = headers.network == Network::ipv6 ? Gso::tcp_v6 : Gso::tcp_v4;
  frame.offload().gso_size = size;
  EXPECT_TRUE(locate_checksum(frame, headers));
  std::vector<Frame> out;
  EXPECT_EQ(adapt(frame, {}, pool, out), Adapted::replaced);
  for (Frame& each : out)
    each.offload() = {.data_validated = true};
  return out;
}

/// An ordinary packet in the middle of a connection: ACK only, PSH in the last segment.
Bytes ordinary(bool v6, std::size_t payload) {
  Bytes bytes = packet(v6, true, payload);
  bytes[v6 ? 67 : 47] = std::byte{0x18};
  return bytes;
}

TEST_F(OffloadTest, SegmentsFromTheWireBecomeThePacketTheyWere) {
  for (const bool v6 : {false, true}) {
    Frame whole = frame_of(ordinary(v6, 10'000));
    std::vector<Frame> segments = segments_of(pool_, whole, 1448);
    std::vector<Bytes> before;
    Coalescer coalescer;
    std::vector<Frame> out;
    for (Frame& each : segments) {
      before.push_back(bytes_of(each));
      coalescer.add(std::move(each), out);
    }
    coalescer.flush(out);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(coalescer.statistics().joined, 6u);
    EXPECT_EQ(bytes_of(out[0]), bytes_of(whole)) << "pseudo checksum and lengths included";
    EXPECT_EQ(out[0].offload().gso_size, 1448);
    std::vector<Frame> again;
    ASSERT_EQ(adapt(out[0], {}, pool_, again), Adapted::replaced);
    ASSERT_EQ(again.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i)
      EXPECT_EQ(bytes_of(again[i]), before[i]) << i;
  }
  EXPECT_EQ(pool_.statistics().free_buffers, 64u);
}

TEST_F(OffloadTest, WhatDoesNotContinueIsNotJoined) {
  const auto joined_with = [&](std::size_t which, std::size_t at, int change) {
    Frame whole = frame_of(ordinary(false, 4'000));
    std::vector<Frame> segments = segments_of(pool_, whole, 1448);
    Bytes bytes = bytes_of(segments[which]);
    bytes[at] ^= static_cast<std::byte>(change);
    EXPECT_EQ(segments[which].copy_in(0, bytes), bytes.size());
    if (at == 0) segments[which].offload().data_validated = false;
    Coalescer coalescer;
    std::vector<Frame> out;
    for (Frame& each : segments)
      coalescer.add(std::move(each), out);
    coalescer.flush(out);
    return coalescer.statistics().joined;
  };
  EXPECT_EQ(joined_with(1, 60, 0), 2u) << "nothing changed";
  EXPECT_EQ(joined_with(1, 41, 1), 0u) << "a gap";
  EXPECT_EQ(joined_with(1, 45, 1), 0u) << "another acknowledgement";
  EXPECT_EQ(joined_with(1, 49, 1), 0u) << "another window";
  EXPECT_EQ(joined_with(1, 56, 1), 0u) << "another option";
  EXPECT_EQ(joined_with(1, 35, 1), 0u) << "another port";
  EXPECT_EQ(joined_with(1, 29, 1), 0u) << "another address";
  EXPECT_EQ(joined_with(1, 47, 0x02), 0u) << "SYN";
  EXPECT_EQ(joined_with(1, 22, 1), 0u) << "another time to live";
  EXPECT_EQ(joined_with(1, 0, 0), 0u) << "not verified";
  EXPECT_EQ(joined_with(1, 47, 0x08), 1u) << "PSH ends a packet";
}

TEST_F(OffloadTest, FlowsAreJoinedSideBySideAndKeepTheirOrder) {
  Frame one = frame_of(ordinary(false, 4'000));
  Bytes bytes = ordinary(false, 4'000);
  bytes[34] = std::byte{77};
  Frame other = frame_of(bytes);
  std::vector<Frame> a = segments_of(pool_, one, 1448);
  std::vector<Frame> b = segments_of(pool_, other, 1448);
  Coalescer coalescer;
  std::vector<Frame> out;
  for (std::size_t i = 0; i < 3; ++i) {
    coalescer.add(std::move(a[i]), out);
    coalescer.add(std::move(b[i]), out);
  }
  coalescer.flush(out);
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(coalescer.statistics().joined, 4u);
}

TEST_F(OffloadTest, NothingIsKeptWhenThePoolIsTooSmall) {
  Frame frame = frame_of(packet(false, true, 60'000));
  frame.offload().gso = Gso::tcp_v4;
  frame.offload().gso_size = 500;
  const auto free = pool_.statistics().free_buffers;
  std::vector<Frame> out;
  EXPECT_EQ(adapt(frame, {}, pool_, out), Adapted::no_memory);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(pool_.statistics().free_buffers, free);
}

TEST_F(OffloadTest, WhatIsNoTcpIsNotSegmented) {
  Frame frame = frame_of(packet(false, false, 5'000));
  frame.offload().gso = Gso::tcp_v4;
  frame.offload().gso_size = 1000;
  EXPECT_FALSE(locate_checksum(frame, headers_of(frame)));
  std::vector<Frame> out;
  EXPECT_EQ(adapt(frame, {}, pool_, out), Adapted::malformed);
}

TEST(HeadersTest, TagsOptionsAndExtensionsArePassed) {
  Bytes plain = packet(false, true, 10);
  Bytes tagged(plain.begin(), plain.begin() + 12);
  for (const int byte : {0x81, 0x00, 0x00, 0x05})
    tagged.push_back(static_cast<std::byte>(byte));
  tagged.insert(tagged.end(), plain.begin() + 12, plain.end());
  const PacketHeaders headers = parse_headers(tagged);
  EXPECT_EQ(headers.network, Network::ipv4);
  EXPECT_EQ(headers.network_start, 18);
  EXPECT_EQ(headers.transport_start, 38);
  EXPECT_EQ(headers.payload_start, 70);

  Bytes six = packet(true, false, 32);
  six[20] = std::byte{0};   // hop by hop
  six[54] = std::byte{17};  // then UDP
  six[55] = std::byte{0};   // eight bytes long
  EXPECT_EQ(parse_headers(six).transport, Transport::udp);
  EXPECT_EQ(parse_headers(six).transport_start, 62);

  Bytes fragment = packet(false, true, 10);
  fragment[21] = std::byte{1};
  EXPECT_EQ(parse_headers(fragment).transport, Transport::other);
  for (std::size_t length = 0; length < plain.size(); ++length)
    (void)parse_headers(std::span(plain).first(length));
  EXPECT_EQ(parse_headers(std::span(plain).first(20)).transport, Transport::other);
}

}  // namespace
}  // namespace ppvmm::net

#include "net/switch/packet_headers.hpp"

#include <array>
#include <optional>

namespace ppvmm::net {
namespace {

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kArp = 0x0806;
constexpr std::uint16_t kIpv6 = 0x86DD;
constexpr std::uint16_t kVlan = 0x8100;
constexpr std::uint16_t kServiceVlan = 0x88A8;
constexpr std::size_t kTypeAt = 12;
constexpr std::size_t kTagBytes = 4;
constexpr unsigned kTagsMax = 2;
constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::size_t kTcpBytes = 20;
constexpr std::size_t kUdpBytes = 8;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
/// IPv6 extension headers that may stand before layer 4 (RFC 8200, section 4).
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kDestination = 60;
constexpr unsigned kExtensionsMax = 8;

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes[at]);
}

struct LayerFour {
  std::size_t start;
  std::uint8_t protocol;
};

/// RFC 791, section 3.1.
std::optional<LayerFour> through_ipv4(std::span<const std::byte> bytes, std::size_t at) {
  if (bytes.size() < at + kIpv4Bytes || byte_at(bytes, at) >> 4 != 4) return std::nullopt;
  const std::size_t length = std::size_t{byte_at(bytes, at)} % 16 * 4;
  if (length < kIpv4Bytes || bytes.size() < at + length) return std::nullopt;
  const bool later_fragment = (load16(bytes, at + 6) & 0x1FFF) != 0;
  if (later_fragment) return std::nullopt;
  return LayerFour{at + length, byte_at(bytes, at + 9)};
}

std::optional<LayerFour> through_ipv6(std::span<const std::byte> bytes, std::size_t at) {
  if (bytes.size() < at + kIpv6Bytes || byte_at(bytes, at) >> 4 != 6) return std::nullopt;
  std::uint8_t next = byte_at(bytes, at + 6);
  at += kIpv6Bytes;
  for (unsigned i = 0; i < kExtensionsMax; ++i) {
    if (next != kHopByHop && next != kRouting && next != kDestination) return LayerFour{at, next};
    if (bytes.size() < at + 8) return std::nullopt;
    next = byte_at(bytes, at);
    at += (std::size_t{byte_at(bytes, at + 1)} + 1) * 8;
  }
  return std::nullopt;
}

}  // namespace

PacketHeaders parse_headers(std::span<const std::byte> bytes) {
  PacketHeaders headers;
  std::size_t at = kTypeAt;
  if (bytes.size() < at + 2) return headers;
  std::uint16_t type = load16(bytes, at);
  for (unsigned tags = 0; tags < kTagsMax && (type == kVlan || type == kServiceVlan); ++tags) {
    at += kTagBytes;
    if (bytes.size() < at + 2) return headers;
    type = load16(bytes, at);
  }
  at += 2;
  headers.network_start = static_cast<std::uint16_t>(at);
  std::optional<LayerFour> four;
  if (type == kIpv4) {
    headers.network = Network::ipv4;
    four = through_ipv4(bytes, at);
  } else if (type == kIpv6) {
    headers.network = Network::ipv6;
    four = through_ipv6(bytes, at);
  } else if (type == kArp) {
    headers.network = Network::arp;
  }
  if (!four) return headers;
  if (four->protocol == kTcp && bytes.size() >= four->start + kTcpBytes) {
    const std::size_t length = std::size_t{byte_at(bytes, four->start + 12)} / 16 * 4;
    if (length < kTcpBytes) return headers;
    headers.transport = Transport::tcp;
    headers.payload_start = static_cast<std::uint16_t>(four->start + length);
  } else if (four->protocol == kUdp && bytes.size() >= four->start + kUdpBytes) {
    headers.transport = Transport::udp;
    headers.payload_start = static_cast<std::uint16_t>(four->start + kUdpBytes);
  } else {
    return headers;
  }
  headers.transport_start = static_cast<std::uint16_t>(four->start);
  return headers;
}

PacketHeaders headers_of(const Frame& frame) {
  const auto fragments = frame.fragments();
  if (fragments.empty()) return {};
  const auto first = frame.bytes(fragments.front());
  if (first.size() >= kHeaderBytes || first.size() == frame.length()) return parse_headers(first);
  std::array<std::byte, kHeaderBytes> bytes;
  const std::size_t count = frame.copy_out(0, bytes);
  return parse_headers({bytes.data(), count});
}

}  // namespace ppvmm::net

#include "net/headers.hpp"

namespace ppvmm::net {
namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;

std::size_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]);
}

void locate_l4(std::span<const std::byte> bytes, std::size_t l4, std::size_t protocol,
               Headers& headers) {
  std::size_t length = 0;
  if (protocol == protocol::kTcp) {
    if (bytes.size() < l4 + kTcpHeader) return;
    length = (byte_at(bytes, l4 + 12) >> 4) * 4;  // RFC 9293, 3.1: data offset
    if (length < kTcpHeader || bytes.size() < l4 + length) return;
  } else if (protocol == protocol::kUdp) {
    length = kUdpHeader;
    if (bytes.size() < l4 + length) return;
  } else {
    return;
  }
  headers.l4 = static_cast<std::uint16_t>(l4);
  headers.payload = static_cast<std::uint16_t>(l4 + length);
  headers.protocol = static_cast<std::uint8_t>(protocol);
}

}  // namespace

std::optional<Headers> locate(std::span<const std::byte> bytes) {
  if (bytes.size() < kEthernetHeader) return std::nullopt;
  Headers headers;
  std::size_t l3 = kEthernetHeader;
  headers.type = big16(bytes, 12);
  if (headers.type == ethertype::kVlan) {
    l3 += kVlanTag;
    if (bytes.size() < l3) return std::nullopt;
    headers.type = big16(bytes, l3 - 2);
  }
  headers.l3 = static_cast<std::uint16_t>(l3);
  if (headers.type == ethertype::kIpv4) {
    if (bytes.size() < l3 + kIpv4Header) return headers;
    const std::size_t first = byte_at(bytes, l3);
    const std::size_t length = (first & 0xF) * 4;
    // RFC 791, 3.1: more fragments, or a fragment offset: the rest is elsewhere.
    const bool fragment = (big16(bytes, l3 + 6) & 0x3FFF) != 0;
    if (first >> 4 != 4 || length < kIpv4Header || fragment) return headers;
    locate_l4(bytes, l3 + length, byte_at(bytes, l3 + 9), headers);
  } else if (headers.type == ethertype::kIpv6) {
    if (bytes.size() < l3 + kIpv6Header || byte_at(bytes, l3) >> 4 != 6) return headers;
    locate_l4(bytes, l3 + kIpv6Header, byte_at(bytes, l3 + 6), headers);
  }
  return headers;
}

std::uint16_t checksum_add(std::span<const std::byte> bytes, std::uint32_t initial) {
  std::uint64_t sum = initial;
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2)
    sum += big16(bytes, at);
  if (at < bytes.size()) sum += byte_at(bytes, at) << 8;
  while (sum >> 16 != 0)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace ppvmm::net

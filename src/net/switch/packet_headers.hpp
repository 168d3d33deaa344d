/// Where the headers of a frame are: Ethernet (with up to two VLAN tags), IPv4 or IPv6, TCP or UDP.
///
/// Everything is checked against the bytes at hand; a packet whose headers do not fit, or that is a
/// later fragment, has no layer 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/frame.hpp"

namespace ppvmm::net {

enum class Network : std::uint8_t { other, ipv4, ipv6, arp };
enum class Transport : std::uint8_t { other, tcp, udp };

struct PacketHeaders {
  Network network{Network::other};
  Transport transport{Transport::other};
  std::uint16_t network_start{};    ///< Bytes before the layer-3 header.
  std::uint16_t transport_start{};  ///< Bytes before the layer-4 header; 0 if there is none.
  std::uint16_t payload_start{};    ///< Bytes before layer 4's payload; TCP only.
};

/// Bytes that parse_headers() ever looks at: Ethernet with tags, IPv6 with a few extension headers
/// or IPv4 with options, TCP with options.
inline constexpr std::size_t kHeaderBytes = 256;

/// Parses the first bytes of a frame, of which the frame may have more.
[[nodiscard]] PacketHeaders parse_headers(std::span<const std::byte> bytes);
[[nodiscard]] PacketHeaders headers_of(const Frame& frame);

[[nodiscard]] constexpr std::uint16_t load16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}
[[nodiscard]] constexpr std::uint32_t load32(std::span<const std::byte> bytes, std::size_t at) {
  return std::uint32_t{load16(bytes, at)} << 16 | load16(bytes, at + 2);
}
constexpr void store16(std::span<std::byte> bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}
constexpr void store32(std::span<std::byte> bytes, std::size_t at, std::uint32_t value) {
  store16(bytes, at, static_cast<std::uint16_t>(value >> 16));
  store16(bytes, at + 2, static_cast<std::uint16_t>(value & 0xFFFF));
}

}  // namespace ppvmm::net

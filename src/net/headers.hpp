/// Where the headers of a frame begin and end: Ethernet, one VLAN tag, IPv4 or IPv6, TCP or UDP.
/// Pure. Everything in a frame is hostile: what does not fit is "not there".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ppvmm::net {

inline constexpr std::size_t kEthernetHeader = 14;
inline constexpr std::size_t kVlanTag = 4;
/// Ethernet with a tag, IPv6, TCP with all options: the longest headers that locate() takes apart.
/// IPv6 extension headers are not followed.
inline constexpr std::size_t kHeadersMax = kEthernetHeader + kVlanTag + 40 + 60;

namespace ethertype {
inline constexpr std::uint16_t kIpv4 = 0x0800;
inline constexpr std::uint16_t kArp = 0x0806;
inline constexpr std::uint16_t kVlan = 0x8100;
inline constexpr std::uint16_t kIpv6 = 0x86DD;
}  // namespace ethertype

namespace protocol {
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
}  // namespace protocol

/// Offsets in bytes from the frame's begin.
struct Headers {
  std::uint16_t type{};     ///< Ethertype behind a VLAN tag.
  std::uint16_t l3{};       ///< Begin of the layer-3 header.
  std::uint16_t l4{};       ///< Begin of the layer-4 header; 0: none, or a fragment of a packet.
  std::uint16_t payload{};  ///< Begin of what TCP or UDP carries; 0 without l4.
  std::uint8_t protocol{};  ///< protocol::kTcp or kUdp; 0 without l4.
};

/// `bytes`: the frame's first bytes, kHeadersMax of them if it has as many. Nothing if even the
/// Ethernet header is incomplete. IP that is malformed counts as a frame without l4.
[[nodiscard]] std::optional<Headers> locate(std::span<const std::byte> bytes);

[[nodiscard]] inline std::uint16_t big16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}
inline void put_big16(std::span<std::byte> bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}

/// Ones' complement sum of 16-bit words (RFC 1071), folded; not complemented. `initial` may be the
/// result of another part that had an even number of bytes.
[[nodiscard]] std::uint16_t checksum_add(std::span<const std::byte> bytes,
                                         std::uint32_t initial = 0);

}  // namespace ppvmm::net

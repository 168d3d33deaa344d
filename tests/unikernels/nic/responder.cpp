#include "responder.hpp"

#include <algorithm>
#include <cstring>

#include "net/headers.hpp"

namespace ppvmm::test {
namespace {

using net::big16;
using net::put_big16;

constexpr std::size_t kArpFrame = 42;
constexpr std::size_t kIp = net::kEthernetHeader;
constexpr std::uint16_t kEcho = 7;

template <std::size_t N>
bool equals(std::span<const std::byte> bytes, std::size_t at,
            const std::array<std::uint8_t, N>& value) {
  return std::memcmp(bytes.data() + at, value.data(), N) == 0;
}
template <std::size_t N>
void put(std::span<std::byte> bytes, std::size_t at, const std::array<std::uint8_t, N>& value) {
  std::memcpy(bytes.data() + at, value.data(), N);
}
template <std::size_t N>
void take(std::span<const std::byte> bytes, std::size_t at, std::array<std::uint8_t, N>& value) {
  std::memcpy(value.data(), bytes.data() + at, N);
}
void swap(std::span<std::byte> bytes, std::size_t one, std::size_t other, std::size_t length) {
  std::swap_ranges(bytes.data() + one, bytes.data() + one + length, bytes.data() + other);
}

}  // namespace

bool Responder::answer(net::Frame& frame) {
  // All that is answered has its headers in the first piece.
  const std::span<std::byte> bytes = frame.bytes(frame.fragments()[0]);
  if (bytes.size() < kArpFrame) return false;
  // A blank checksum stays blank: what is swapped below leaves its sum as it is.
  frame.offload().data_validated = false;
  switch (big16(bytes, 12)) {
    case net::ethertype::kArp:
      return answer_arp(bytes);
    case net::ethertype::kIpv4:
      return answer_ip(bytes);
    default:
      return false;
  }
}

/// RFC 826: hardware address length 6, protocol address length 4, operation 1 asks and 2 answers.
bool Responder::answer_arp(std::span<std::byte> bytes) {
  if (big16(bytes, 20) != 1 || !equals(bytes, 38, address_)) return false;
  take(bytes, 22, neighbour_);
  take(bytes, 28, neighbour_address_);
  put_big16(bytes, 20, 2);
  put(bytes, 32, neighbour_);
  put(bytes, 38, neighbour_address_);
  put(bytes, 22, mac_);
  put(bytes, 28, address_);
  put(bytes, 0, neighbour_);
  put(bytes, 6, mac_);
  return true;
}

bool Responder::answer_ip(std::span<std::byte> bytes) {
  const std::size_t header = std::to_integer<std::size_t>(bytes[kIp] & std::byte{0xF}) * 4;
  const std::size_t l4 = kIp + header;
  if (header < 20 || bytes.size() < l4 + 8 || !equals(bytes, kIp + 16, address_)) return false;
  const auto protocol = std::to_integer<unsigned>(bytes[kIp + 9]);
  if (protocol == 1) {  // ICMP, RFC 792: echo request 8, reply 0
    if (bytes[l4] != std::byte{8}) return false;
    bytes[l4] = std::byte{0};
    // RFC 1624: the sum without 0x0800.
    const std::uint32_t sum = big16(bytes, l4 + 2) + 0x0800u;
    put_big16(bytes, l4 + 2, static_cast<std::uint16_t>(sum + (sum >> 16)));
  } else if (protocol == net::protocol::kUdp && big16(bytes, l4 + 2) == kEcho) {
    swap(bytes, l4, l4 + 2, 2);  // the ports: the checksum stays right
  } else {
    return false;
  }
  swap(bytes, kIp + 12, kIp + 16, 4);
  swap(bytes, 0, 6, 6);
  put(bytes, 6, mac_);
  return true;
}

net::Frame Responder::datagram(net::BufferPool& pool, std::uint16_t port, std::uint64_t number,
                               std::size_t payload) const {
  constexpr std::size_t kUdp = kIp + 20;
  constexpr std::size_t kPayload = kUdp + 8;
  std::array<std::byte, kPayload + 8> head{};
  const std::span<std::byte> bytes{head};
  put(bytes, 0, neighbour_);
  put(bytes, 6, mac_);
  put_big16(bytes, 12, net::ethertype::kIpv4);
  bytes[kIp] = std::byte{0x45};
  put_big16(bytes, kIp + 2, static_cast<std::uint16_t>(28 + payload));
  put_big16(bytes, kIp + 6, 0x4000);
  bytes[kIp + 8] = std::byte{64};
  bytes[kIp + 9] = std::byte{net::protocol::kUdp};
  put(bytes, kIp + 12, address_);
  put(bytes, kIp + 16, neighbour_address_);
  put_big16(bytes, kIp + 10,
            static_cast<std::uint16_t>(~net::checksum_add(bytes.subspan(kIp, 20))));
  put_big16(bytes, kUdp, kEcho);
  put_big16(bytes, kUdp + 2, port);
  put_big16(bytes, kUdp + 4, static_cast<std::uint16_t>(8 + payload));
  put_big16(bytes, kUdp + 6,
            net::checksum_add(bytes.subspan(kIp + 12, 8),
                              static_cast<std::uint32_t>(net::protocol::kUdp + 8 + payload)));
  for (std::size_t i = 0; i < 8; ++i)
    bytes[kPayload + i] = static_cast<std::byte>(number >> (56 - 8 * i));
  net::Frame frame = pool.frame_of(kPayload + payload);
  if (!frame) return frame;
  frame.copy_in(0, head);
  frame.offload() = {.checksum_blank = true,
                     .checksum_start = static_cast<std::uint16_t>(kUdp),
                     .checksum_offset = 6};
  return frame;
}

}  // namespace ppvmm::test

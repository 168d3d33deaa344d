/// The smallest host on a network: answers ARP, ICMP echo and UDP echo (port 7) for one IPv4
/// address. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "net/frame.hpp"
#include "net/nic/nic.hpp"

namespace ppvmm::test {

using Ipv4 = std::array<std::uint8_t, 4>;

class Responder {
 public:
  Responder(net::MacAddress mac, Ipv4 address) : mac_(mac), address_(address) {}

  /// True: `frame` was turned into its answer, to be sent.
  [[nodiscard]] bool answer(net::Frame& frame);

  /// The address of the neighbour that asked last by ARP, to send to.
  [[nodiscard]] net::MacAddress neighbour() const { return neighbour_; }
  [[nodiscard]] Ipv4 neighbour_address() const { return neighbour_address_; }

  /// A UDP datagram of ours to the neighbour, its checksum left to the card; empty without memory.
  [[nodiscard]] net::Frame datagram(net::BufferPool& pool, std::uint16_t port, std::uint64_t number,
                                    std::size_t payload) const;

 private:
  [[nodiscard]] bool answer_arp(std::span<std::byte> bytes);
  [[nodiscard]] bool answer_ip(std::span<std::byte> bytes);

  net::MacAddress mac_;
  Ipv4 address_;
  net::MacAddress neighbour_{};
  Ipv4 neighbour_address_{};
};

}  // namespace ppvmm::test

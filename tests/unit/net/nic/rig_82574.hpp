/// The 82574's driver, its simulated device, and packets for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "net/headers.hpp"
#include "net/nic/e1000e/e1000e.hpp"
#include "rig.hpp"
#include "sim_82574.hpp"

namespace ppvmm::net::nic::e1000e {

class Rig : public NicRig<E1000e, Sim82574> {
 protected:
  explicit Rig(std::size_t buffers = 700) : NicRig(buffers) { resources_.bars[0] = &device_; }

  /// A packet of `length` bytes to `nic_`, counting up from `seed`.
  [[nodiscard]] std::vector<std::byte> packet(std::size_t length, unsigned seed = 0) const {
    std::vector<std::byte> bytes = counting(length, seed);
    std::ranges::transform(nic_->mac(), bytes.begin(),
                           [](std::uint8_t each) { return static_cast<std::byte>(each); });
    return bytes;
  }
  void serve() {
    while (device_.interrupting() && nic_->on_interrupt())
      drain();
  }
  /// The receive descriptors, as the device sees them.
  [[nodiscard]] ReceiveDescriptor* receive_ring() {
    return reinterpret_cast<ReceiveDescriptor*>(own_.page(0));
  }
  void write_back(std::size_t index, std::uint16_t length, std::uint8_t status) {
    receive_ring()[index].length = length;
    receive_ring()[index].status = status;
    device_.raise(cause::kReceiveTimer);
  }
};

/// Ethernet, IP and TCP headers with a checksum field that holds the pseudo header's sum, and
/// `payload` bytes behind them.
inline std::vector<std::byte> tcp_packet(bool v6, std::size_t payload) {
  const std::size_t l3 = kEthernetHeader;
  const std::size_t l4 = l3 + (v6 ? 40 : 20);
  std::vector<std::byte> bytes(l4 + 20 + payload);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i * 31 + 7);
  const std::span<std::byte> all{bytes};
  put_big16(all, 12, v6 ? ethertype::kIpv6 : ethertype::kIpv4);
  if (v6) {
    bytes[l3] = std::byte{0x60};
    put_big16(all, l3 + 4, static_cast<std::uint16_t>(20 + payload));
    bytes[l3 + 6] = std::byte{protocol::kTcp};
  } else {
    bytes[l3] = std::byte{0x45};
    put_big16(all, l3 + 2, static_cast<std::uint16_t>(40 + payload));
    put_big16(all, l3 + 6, 0x4000);
    bytes[l3 + 9] = std::byte{protocol::kTcp};
  }
  bytes[l4 + 12] = std::byte{0x50};
  const auto addresses = v6 ? all.subspan(l3 + 8, 32) : all.subspan(l3 + 12, 8);
  put_big16(all, l4 + 16,
            checksum_add(addresses, static_cast<std::uint32_t>(protocol::kTcp + 20 + payload)));
  return bytes;
}

}  // namespace ppvmm::net::nic::e1000e

/// A driver, its simulated device, and packets for them.
#pragma once

#include <gtest/gtest.h>

#include <numeric>

#include "bench.hpp"
#include "net/headers.hpp"
#include "net/nic/e1000e/e1000e.hpp"
#include "sim_82574.hpp"

namespace ppvmm::net::nic::e1000e {

class Rig : public ::testing::Test {
 protected:
  explicit Rig(std::size_t buffers = 700) : memory_(buffers, 0x4'0000'0000) {
    for (std::size_t i = 0; i < buffers; ++i)
      device_.map(memory_.addresses()[i], memory_.page(i), kBufferBytes);
    for (std::size_t i = 0; i < kDriverPages; ++i) {
      device_.map(own_.addresses()[i], own_.page(i), kBufferBytes);
      pages_.push_back({own_.page(i), own_.addresses()[i]});
    }
    resources_.bars[0] = &device_;
    resources_.pages = pages_;
    resources_.pool = &pool_;
    resources_.client = &client_;
  }

  void start() {
    auto made = E1000e::create(resources_);
    ASSERT_TRUE(made);
    nic_ = std::move(*made);
    ASSERT_TRUE(nic_->start());
  }

  /// A packet of `length` bytes to `nic_`, counting up from `seed`.
  [[nodiscard]] std::vector<std::byte> packet(std::size_t length, unsigned seed = 0) const {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<std::byte>(seed + i);
    const MacAddress mac = nic_->mac();
    for (std::size_t i = 0; i < 6; ++i)
      bytes[i] = static_cast<std::byte>(mac[i]);
    return bytes;
  }
  [[nodiscard]] Frame frame(const std::vector<std::byte>& bytes, std::uint64_t tag = 0,
                            std::size_t headroom = 0) {
    Frame made = pool_.frame_of(bytes.size(), headroom);
    made.copy_in(0, bytes);
    made.tag() = tag;
    return made;
  }
  /// As net_uk's loop does it.
  void serve() {
    while (device_.interrupting() && nic_->on_interrupt()) {
      while (nic_->poll(64) == 64) {
      }
    }
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

  Memory memory_;
  Memory own_{kDriverPages, 0x8'0000'0000};
  std::vector<DmaPage> pages_;
  BufferPool pool_{memory_.data(), memory_.addresses(), 600};
  Client client_;
  Sim82574 device_;
  Resources resources_;
  std::unique_ptr<Nic> nic_;
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

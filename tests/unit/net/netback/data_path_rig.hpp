/// A data path between three guests and a wire.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "net/netback/data_path.hpp"
#include "support/net_guest.hpp"
#include "support/net_wire.hpp"

namespace ppvmm::net {

using test::FakeXen;
using test::Guest;
using test::Received;

inline constexpr std::uint64_t kMs = 1'000'000;

class DataPathTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 600;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(kBuffers);
  BufferPool pool_{memory_.data(), dma_, kBuffers};
  FakeXen xen_{pool_};
  std::unique_ptr<DataPath> path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  Guest a_{xen_, 1};
  Guest b_{xen_, 2};
  Guest c_{xen_, 3};
  test::Wire wire_;
  std::uint64_t now_{1000 * kMs};
  std::map<abi::DomId, PortId> ports_;

  void connect(Guest& guest) { connect(guest, test::vif_settings(guest)); }
  void connect(Guest& guest, VifSettings what) {
    const QueuePages pages{.tx = guest.tx_page(), .rx = guest.rx_page()};
    const auto port = path_->add_vif(std::move(what), {&pages, 1}, now_);
    ASSERT_TRUE(port);
    ports_[guest.domid()] = *port;
  }
  void run() {
    for (const auto& [domid, port] : ports_)
      path_->kick(port, 0);
    for (int i = 0; i < 100 && path_->run(now_); ++i) {
    }
  }
  std::vector<Offence> offences() {
    std::vector<Offence> taken;
    path_->take_offences(taken);
    return taken;
  }
  /// From the first guest, its addresses and checksum all nonsense; TCP has protocol 6, UDP 17.
  static test::Bytes ipv4(std::uint8_t to, std::uint8_t protocol, std::size_t length) {
    test::Bytes packet = test::ethernet(to, 1, length);
    store16(packet, 12, 0x0800);
    packet[14] = std::byte{0x45};
    store16(packet, 20, 0);
    packet[23] = std::byte{protocol};
    packet[46] = std::byte{0x50};  // TCP's header has five words
    return packet;
  }
  static std::vector<Received> got(Guest& guest) {
    std::vector<Received> packets;
    EXPECT_TRUE(guest.receive(packets));
    return packets;
  }
};

}  // namespace ppvmm::net

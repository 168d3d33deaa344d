/// A virtio driver, its simulated device, and packets for them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "net/headers.hpp"
#include "net/nic/virtio/virtio_net.hpp"
#include "sim_virtio.hpp"

namespace ppvmm::net::nic::virtio {

class VirtioTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 700;

  VirtioTest() {
    for (std::size_t i = 0; i < kBuffers; ++i)
      device_.map(memory_.addresses()[i], memory_.page(i), kBufferBytes);
    for (std::size_t i = 0; i < kDriverPages; ++i) {
      device_.map(own_.addresses()[i], own_.page(i), kBufferBytes);
      pages_.push_back({own_.page(i), own_.addresses()[i]});
    }
    resources_.bars[4] = &device_;
    resources_.capabilities = capabilities_;
    resources_.pages = pages_;
    resources_.pool = &pool_;
    resources_.client = &client_;
  }

  void start() {
    auto made = VirtioNet::create(resources_);
    ASSERT_TRUE(made);
    nic_ = std::move(*made);
    ASSERT_TRUE(nic_->start());
  }
  [[nodiscard]] static std::vector<std::byte> packet(std::size_t length, unsigned seed = 0) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<std::byte>(seed + i);
    return bytes;
  }
  [[nodiscard]] Frame frame(const std::vector<std::byte>& bytes, std::uint64_t tag = 0,
                            std::size_t headroom = 0) {
    Frame made = pool_.frame_of(bytes.size(), headroom);
    made.copy_in(0, bytes);
    made.tag() = tag;
    return made;
  }
  void serve() {
    while (std::exchange(device_.interrupt, false) && nic_->on_interrupt()) {
      while (nic_->poll(64) == 64) {
      }
    }
  }

  Memory memory_{kBuffers, 0x4'0000'0000};
  Memory own_{kDriverPages, 0x8'0000'0000};
  std::vector<DmaPage> pages_;
  BufferPool pool_{memory_.data(), memory_.addresses(), 600};
  Client client_;
  SimVirtio device_;
  std::vector<VendorCapability> capabilities_ = SimVirtio::capabilities();
  Resources resources_;
  std::unique_ptr<Nic> nic_;
};

}  // namespace ppvmm::net::nic::virtio

/// A virtio driver, its simulated device, and packets for them.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "net/nic/virtio/virtio_net.hpp"
#include "rig.hpp"
#include "sim_virtio.hpp"

namespace ppvmm::net::nic::virtio {

class VirtioTest : public NicRig<VirtioNet, SimVirtio> {
 protected:
  static constexpr std::size_t kBuffers = 700;

  VirtioTest() : NicRig(kBuffers) {
    resources_.bars[4] = &device_;
    resources_.capabilities = capabilities_;
  }
  [[nodiscard]] static std::vector<std::byte> packet(std::size_t length, unsigned seed = 0) {
    return counting(length, seed);
  }
  void serve() {
    while (std::exchange(device_.interrupt, false) && nic_->on_interrupt())
      drain();
  }

  std::vector<VendorCapability> capabilities_ = SimVirtio::capabilities();
};

}  // namespace ppvmm::net::nic::virtio

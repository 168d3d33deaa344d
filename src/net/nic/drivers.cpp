#include "net/nic/drivers.hpp"

#include "net/nic/e1000e/e1000e.hpp"
#include "net/nic/virtio/virtio_net.hpp"

namespace ppvmm::net::nic {
namespace {

/// A new driver is one line here and a folder of its own.
constexpr std::array kDrivers{
    Driver{.vendor = e1000e::kVendor,
           .device = e1000e::kDevice82574,
           .capabilities = false,
           .bars = [](std::span<const VendorCapability>) { return std::uint8_t{1u << 0}; },
           .vectors = 0,
           .name = "82574L",
           .create = e1000e::E1000e::create},
    Driver{.vendor = virtio::kVendor,
           .device = virtio::kDeviceNet,
           .capabilities = true,
           .bars = virtio::bars_of,
           .vectors = 1,
           .name = "virtio-net",
           .create = virtio::VirtioNet::create},
};

}  // namespace

const Driver* driver_for(std::uint16_t vendor, std::uint16_t device) {
  for (const Driver& driver : kDrivers) {
    if (driver.vendor == vendor && driver.device == device) return &driver;
  }
  return nullptr;
}

}  // namespace ppvmm::net::nic

/// The front-end's pages: the one it shares with the back-end, and behind it what it keeps. For the
/// front-end's own files.
#pragma once

#include <cstddef>
#include <span>

#include "kernel/layout.hpp"
#include "pci/channel.hpp"
#include "pci/kept.hpp"

namespace ppvmm::pci {

inline Channel channel_of(std::byte* pages) {
  return Channel(*reinterpret_cast<xen_pci_sharedinfo*>(pages));
}

inline Kept& kept_of(std::byte* pages) {
  return *reinterpret_cast<Kept*>(pages + kernel::kPage);
}

/// The place of a device that is there; kDevicesMax if it is not.
inline std::uint16_t at(Address address, std::span<const Device> devices) {
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].address == address && devices[i].vendor != kNoVendor) {
      return static_cast<std::uint16_t>(i);
    }
  }
  return kDevicesMax;
}

inline xen_pci_op operation_on(Address address, std::uint32_t command) {
  xen_pci_op operation{};
  operation.cmd = command;
  operation.domain = address.domain;
  operation.bus = address.bus;
  operation.devfn = address.devfn;
  return operation;
}

}  // namespace ppvmm::pci

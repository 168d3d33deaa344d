/// What pcifront keeps over microreboots, in a page of its own beside the channel. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "pci/device.hpp"

namespace ppvmm::pci {

struct Kept {
  std::uint64_t sum;  ///< Of all that follows.
  std::uint16_t backend_id;
  std::uint8_t connected;  ///< The handshake is done, and the devices are known.
  std::uint8_t reserved;
  std::uint32_t count;            ///< Entries in use below.
  std::array<char, 256> backend;  ///< The back-end's directory, zero-terminated.
  std::array<Device, kDevicesMax> devices;
  std::array<Interrupts, kDevicesMax> interrupts;
};
static_assert(sizeof(Kept) <= 4096);

/// Renews the sum. A life that dies between a change and this leaves a record that is not sound(),
/// and the next one asks the back-end again.
void seal(Kept& kept);
[[nodiscard]] bool sound(const Kept& kept);

}  // namespace ppvmm::pci

/// Which driver serves which device, and what a driver is given to work with.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "net/nic/nic.hpp"

namespace ppvmm::net::nic {

/// A page that the device may read and write: page-aligned for both sides.
struct DmaPage {
  std::byte* data{};
  DmaAddress address{};
};

/// A vendor capability (id 9) of the device's configuration space, as far as it is kept.
struct VendorCapability {
  std::array<std::uint8_t, 20> bytes{};
};

/// Pages that every driver can do with.
inline constexpr std::size_t kDriverPages = 12;
inline constexpr std::size_t kBlocksMax = 6;

/// All of it must outlive the driver.
struct Resources {
  std::array<Registers*, kBlocksMax> bars{};  ///< By base address register; null: not mapped.
  std::span<const VendorCapability> capabilities;
  std::span<const DmaPage> pages;  ///< kDriverPages of them, for the driver alone.
  BufferPool* pool{};              ///< Where receive buffers come from, and frames for them.
  /// The pages are as an earlier driver of the device left them, and the device may still be at
  /// work with them: what it has received is handed on by the new driver.
  bool inherited{};
  NicClient* client{};
};

/// What the driver needs of the device before it can be made.
struct Driver {
  std::uint16_t vendor;
  std::uint16_t device;
  bool capabilities;  ///< It wants the vendor capabilities.
  /// Base address registers to be mapped: bit n is register n.
  std::uint8_t (*bars)(std::span<const VendorCapability> capabilities);
  std::uint32_t vectors;  ///< MSI-X vectors wanted; 0: one MSI.
  std::string_view name;
  std::expected<std::unique_ptr<Nic>, NicError> (*create)(const Resources& resources);
};

/// The driver for a PCI id; null if we have none.
[[nodiscard]] const Driver* driver_for(std::uint16_t vendor, std::uint16_t device);

}  // namespace ppvmm::net::nic

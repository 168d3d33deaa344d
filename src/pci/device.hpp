/// What is known of an assigned device. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pci/config.hpp"

namespace ppvmm::pci {

/// What the vendor register of an absent function reads.
inline constexpr std::uint16_t kNoVendor = 0xFFFF;

inline constexpr std::size_t kVendorCapabilitiesMax = 5;
inline constexpr std::size_t kVendorCapabilityBytes = 20;

/// A function: who it is, and what was learned of it since (Frontend::learn_*).
struct Device {
  Address address{};
  std::uint16_t vendor{};
  std::uint16_t device{};
  std::uint8_t revision{};
  std::uint8_t vendor_capabilities{};  ///< Used entries of `vendor_capability`.
  std::uint32_t class_code{};  ///< 24 bits: class, subclass, interface; 0x020000 is Ethernet.
  std::array<Bar, kBars> bars{};
  /// Vendor capabilities (id 9) as they lie in configuration space: how virtio devices tell where
  /// their registers are.
  std::array<std::array<std::uint8_t, kVendorCapabilityBytes>, kVendorCapabilitiesMax>
      vendor_capability{};
};

inline constexpr std::size_t kDevicesMax = 8;
inline constexpr std::size_t kVectorsMax = 8;  ///< Interrupts of one device that we use at most.

/// How a device's interrupts reach us: numbers for kernel::events::bind_pirq().
struct Interrupts {
  bool msix{};
  std::uint32_t count{};
  std::array<std::uint32_t, kVectorsMax> pirqs{};
};

/// "0000:00:1f.3" as the back-end writes it (all hexadecimal, the function with one or two digits).
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

}  // namespace ppvmm::pci

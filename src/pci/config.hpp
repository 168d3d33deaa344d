/// PCI configuration space: registers, base addresses, capabilities. Pure.
/// Spec: PCI Local Bus Specification 3.0, chapter 6 (section numbers below are its).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ppvmm::pci {

/// 6.1, configuration space header type 0.
namespace reg {
inline constexpr std::uint16_t kVendor = 0x00;        // 16 bits
inline constexpr std::uint16_t kDevice = 0x02;        // 16 bits
inline constexpr std::uint16_t kCommand = 0x04;       // 16 bits, 6.2.2
inline constexpr std::uint16_t kStatus = 0x06;        // 16 bits, 6.2.3
inline constexpr std::uint16_t kRevision = 0x08;      // 8 bits
inline constexpr std::uint16_t kClass = 0x09;         // 24 bits: interface, subclass, class
inline constexpr std::uint16_t kHeaderType = 0x0E;    // 8 bits
inline constexpr std::uint16_t kBar0 = 0x10;          // 6 times 32 bits, 6.2.5.1
inline constexpr std::uint16_t kSubsystem = 0x2E;     // 16 bits
inline constexpr std::uint16_t kCapabilities = 0x34;  // 8 bits, 6.7
}  // namespace reg

namespace command {
inline constexpr std::uint16_t kMemory = 1u << 1;
inline constexpr std::uint16_t kMaster = 1u << 2;
inline constexpr std::uint16_t kNoIntx = 1u << 10;
}  // namespace command

inline constexpr std::uint16_t kStatusHasCapabilities = 1u << 4;
inline constexpr std::size_t kBars = 6;

/// Appendix H, capability ids.
namespace capability {
inline constexpr std::uint8_t kMsi = 0x05;
inline constexpr std::uint8_t kVendor = 0x09;
inline constexpr std::uint8_t kPcie = 0x10;
inline constexpr std::uint8_t kMsix = 0x11;
}  // namespace capability

/// A base address register, understood. `bytes` 0: not there, or I/O ports (which we never use).
struct Bar {
  std::uint64_t machine{};  ///< Where it lies in machine memory.
  std::uint64_t bytes{};    ///< A power of two.
  bool wide{};              ///< 64 bits: the next register holds its upper half.
};

/// 6.2.5.1: from what a BAR reads, and what it reads after all ones were written to it. `upper` and
/// `upper_probe` are the same of the next register; used for a 64-bit BAR only.
[[nodiscard]] constexpr Bar decode_bar(std::uint32_t value, std::uint32_t probe,
                                       std::uint32_t upper, std::uint32_t upper_probe) {
  if ((value & 1) != 0 || probe == 0) return {};
  const bool wide = (value >> 1 & 3) == 2;
  std::uint64_t mask = probe & ~std::uint64_t{0xF};
  std::uint64_t machine = value & ~std::uint64_t{0xF};
  if (wide) {
    mask |= std::uint64_t{upper_probe} << 32;
    machine |= std::uint64_t{upper} << 32;
  } else {
    mask |= ~std::uint64_t{0} << 32;
  }
  const std::uint64_t bytes = ~mask + 1;
  if (bytes == 0 || (bytes & (bytes - 1)) != 0) return {};
  return {.machine = machine, .bytes = bytes, .wide = wide};
}

/// Where a function sits: what the back-end calls it, which need not be its real place.
struct Address {
  std::uint32_t domain{};
  std::uint32_t bus{};
  std::uint32_t devfn{};  ///< Device number times 8 plus function number.
  bool operator==(const Address&) const = default;
};

}  // namespace ppvmm::pci

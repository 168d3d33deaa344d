/// A PCI device for a domain that root builds: what libxl's pci_add_dm_done() does for a PV domain
/// (registers, legacy interrupt, IOMMU). The host's side of it, `xl pci-assignable-add`, must have
/// given the device to pciback before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "root/failure.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

struct PciAddress {
  std::uint16_t segment{};
  std::uint8_t bus{};
  std::uint8_t device{};    ///< Below 32.
  std::uint8_t function{};  ///< Below 8.

  /// As Linux and libxl write it: "0000:00:10.0".
  [[nodiscard]] std::string text() const;
  /// As Xen's control operations name it.
  [[nodiscard]] std::uint32_t machine_bdf() const;
  [[nodiscard]] bool operator==(const PciAddress&) const = default;
};

/// "00:10.0" or "0000:00:10.0", hexadecimal.
[[nodiscard]] Result<PciAddress> parse_pci_address(std::string_view text);

/// Lets `domid`, which must have been created with an IOMMU context (DomainSpec::pci), use the
/// device. Fails when pciback does not hold it, or another domain has it.
[[nodiscard]] Result<void> assign_pci(const Xen& xen, DomId domid, const PciAddress& address);

}  // namespace ppvmm::root

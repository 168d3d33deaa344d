#include "root/pci_assign.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <ios>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

/// Linux, include/linux/ioport.h: the resource is a range of I/O ports.
constexpr std::uint64_t kIoPorts = 0x100;

std::string sysfs_of(const PciAddress& address, const char* file) {
  return fmt::format("/sys/bus/pci/devices/{}/{}", address.text(), file);
}

Result<void> permit_range(const Xen& xen, DomId domid, std::uint64_t first, std::uint64_t last,
                          std::uint64_t flags) {
  const std::uint64_t bytes = last - first + 1;
  if ((flags & kIoPorts) != 0) {
    if (xc_domain_ioport_permission(xen.control(), domid, static_cast<std::uint32_t>(first),
                                    static_cast<std::uint32_t>(bytes), 1) != 0) {
      return failed(fmt::format("give I/O ports at {:#x} to domain {}", first, domid));
    }
    return {};
  }
  const std::uint64_t pages = (bytes + kPageSize - 1) / kPageSize;
  if (xc_domain_iomem_permission(xen.control(), domid, first / kPageSize, pages, 1) != 0) {
    return failed(fmt::format("give registers at {:#x} to domain {}", first, domid));
  }
  return {};
}

Result<void> permit_resources(const Xen& xen, DomId domid, const PciAddress& address) {
  const std::string path = sysfs_of(address, "resource");
  std::ifstream file(path);
  if (!file) return failed("open " + path);
  file >> std::hex;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t flags = 0;
  // One line for each; unused ones are all zero. strtoull's prefix rules apply to >> std::hex.
  while (file >> first >> last >> flags) {
    if (first == 0) continue;
    if (auto given = permit_range(xen, domid, first, last, flags); !given) return given;
  }
  return {};
}

/// Devices of our drivers use message-signalled interrupts, but Xen refuses them to a domain that
/// may not have the legacy one.
Result<void> permit_interrupt(const Xen& xen, DomId domid, const PciAddress& address) {
  std::ifstream file(sysfs_of(address, "irq"));
  int irq = 0;
  if (!(file >> irq) || irq == 0) return {};
  int pirq = irq;
  if (xc_physdev_map_pirq(xen.control(), domid, irq, &pirq) != 0) {
    return failed(fmt::format("map interrupt {} for domain {}", irq, domid));
  }
  if (xc_domain_irq_permission(xen.control(), domid, static_cast<std::uint32_t>(pirq), 1) != 0) {
    return failed(fmt::format("give interrupt {} to domain {}", irq, domid));
  }
  return {};
}

}  // namespace

Result<void> assign_pci(const Xen& xen, DomId domid, const PciAddress& address) {
  std::error_code code;
  if (!std::filesystem::exists("/sys/bus/pci/drivers/pciback/" + address.text(), code)) {
    return refused(fmt::format("pciback does not hold {}: xl pci-assignable-add {}", address.text(),
                               address.text()));
  }
  if (auto given = permit_resources(xen, domid, address); !given) return given;
  if (auto given = permit_interrupt(xen, domid, address); !given) return given;
  if (xc_assign_device(xen.control(), domid, address.machine_bdf(), XEN_DOMCTL_DEV_RDM_RELAXED) !=
      0) {
    return failed(fmt::format("assign {} to domain {}", address.text(), domid));
  }
  return {};
}

}  // namespace ppvmm::root

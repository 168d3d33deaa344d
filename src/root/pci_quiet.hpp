/// A PCI device whose driver is gone, with the domain that it ran in: until somebody resets it, it
/// goes on as it was told.
#pragma once

#include <vector>

#include "root/failure.hpp"
#include "root/pci_assign.hpp"

namespace ppvmm::root {

/// Ends the device's access to memory, and its interrupts. When pciback takes a device back it
/// switches it from messages to its interrupt line, and a device that still has something to say
/// raises that line for ever: Linux calls it off after 100 000 unhandled interrupts. A reset would
/// end that, but not every device has one; so devices that are known are silenced by their own
/// registers.
[[nodiscard]] Result<void> quiet_pci(const PciAddress& address);

/// While it lives, the kernel does not reset those of its devices that our drivers reset by their
/// own registers whenever they take them. pciback resets what it takes back, and Linux waits for
/// that: 100 ms after a function level reset, twice 10 ms for a device that is put to sleep and
/// woken. Nobody has a network meanwhile.
class WithoutReset {
 public:
  WithoutReset() = default;
  ~WithoutReset();
  WithoutReset(const WithoutReset&) = delete;
  WithoutReset& operator=(const WithoutReset&) = delete;

  void add(const PciAddress& address);

 private:
  std::vector<PciAddress> devices_;
};

}  // namespace ppvmm::root

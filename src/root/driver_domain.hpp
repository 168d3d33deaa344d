/// A driver domain that root builds, as XenStore and dom0's pciback see it: what libxl writes for a
/// domain with `pci=` and `driver_domain=1`, and what a domain that is built anew under its id
/// finds again. Each of these asks XenStore and waits: for the tool, never for the daemon.
///
/// When a domain dies, the store removes all that it owned, the back-ends' directories of its vifs
/// among it. Guests do not mind (a back-end's directory that vanishes is no state
/// that netfront acts on), and everything in them stands elsewhere too, so it is written again.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/pci_assign.hpp"
#include "root/xs_client.hpp"

namespace ppvmm::root {

/// A domain that has a place in XenStore.
struct BusPlace {
  std::string name;  ///< As `backend=` of xl's configurations names it.
  DomId domid{};
  Mfn store_frame{};           ///< Its XenStore ring ...
  std::uint32_t store_port{};  ///< ... and the port that its builder made for it.
  std::uint32_t memory_mib{};
  std::vector<std::string> pci;  ///< Addresses of its devices.
};

[[nodiscard]] BusPlace place_of(const std::string& name, const DomainSpec& spec,
                                const BuiltDomain& built);

/// What was done.
struct BusReport {
  std::uint64_t devices{};  ///< PCI devices offered to it.
  std::uint64_t vifs{};     ///< Vifs that were put back as they were.
};

/// Gives a domain that is built, and has not run yet, its devices and its place: introduced to the
/// store, with a home, its PCI devices, and the vifs that guests have with its id. An earlier
/// domain of that id has let go of everything first: until pciback has reset a device, it is
/// neither quiet nor does its interrupt line have its name.
[[nodiscard]] Result<BusReport> join_bus(const Xen& xen, XsClient& store, const BusPlace& place,
                                         std::chrono::milliseconds limit);

/// What stands in its home beside that, for tools and people. It runs without, so this may come
/// when it does. Doing it again changes nothing.
[[nodiscard]] Result<void> furnish_home(XsClient& store, const BusPlace& place);

/// Silences the devices of a domain that has ended and is built again, and lets pciback give up
/// what it maps of it: its id is taken until then. Devices that our drivers reset are not reset by
/// the kernel.
[[nodiscard]] Result<void> leave_bus(XsClient& store, DomId domid,
                                     const std::vector<std::string>& pci,
                                     std::chrono::milliseconds limit);

/// The same for good: the kernel resets the devices, and nothing of the domain is left in the
/// store.
[[nodiscard]] Result<void> forget_bus(XsClient& store, DomId domid,
                                      const std::vector<std::string>& pci,
                                      std::chrono::milliseconds limit);

}  // namespace ppvmm::root

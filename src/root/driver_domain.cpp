#include "root/driver_domain.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <filesystem>

#include "root/pci_quiet.hpp"
#include "root/vif_entries.hpp"

namespace ppvmm::root {
namespace {

constexpr std::uint32_t kKibPerMib = 1024;

std::string home_of(DomId domid) {
  return fmt::format("/local/domain/{}", domid);
}

std::string pci_front(DomId domid) {
  return home_of(domid) + "/device/pci/0";
}

std::string pci_back(DomId domid) {
  return fmt::format("/local/domain/0/backend/pci/{}/0", domid);
}

/// What it writes while it starts.
void make_home(XsChanges& changes, DomId domid) {
  changes.make(home_of(domid), {.owner = 0, .reader = domid});
  changes.make(home_of(domid) + "/data", {.owner = domid, .reader = {}});
}

/// The rest, as libxl lays it out. What exists stays, with its rights as they should be: the store
/// takes a dead domain out of them.
void write_home(XsChanges& changes, const BusPlace& place) {
  const std::string home = home_of(place.domid);
  const NodeRights readable{.owner = 0, .reader = place.domid};
  const NodeRights own{.owner = place.domid, .reader = {}};
  for (const char* const below : {"/memory", "/device", "/control", "/backend"})
    changes.make(home + below, readable);
  for (const char* const below : {"/drivers", "/feature", "/error", "/control/shutdown"})
    changes.make(home + below, own);
  const std::string memory_kib = std::to_string(place.memory_mib * kKibPerMib);
  for (const auto& [name, value] : Nodes{{"/name", place.name},
                                         {"/domid", std::to_string(place.domid)},
                                         {"/memory/target", memory_kib},
                                         {"/memory/static-max", memory_kib}}) {
    changes.write(home + name, value);
  }
}

/// Both ends of the PCI bus (libxl__create_pci_backend), with all devices from the start: what
/// pciback reads. The kernel looks once for each node.
Result<void> write_pci(XsChanges& changes, const BusPlace& place) {
  Nodes back{{"frontend", pci_front(place.domid)},
             {"frontend-id", std::to_string(place.domid)},
             {"online", "1"},
             {"num_devs", std::to_string(place.pci.size())}};
  for (std::size_t i = 0; i < place.pci.size(); ++i) {
    const auto address = parse_pci_address(place.pci[i]);
    if (!address) return std::unexpected(address.error());
    back.emplace_back(fmt::format("dev-{}", i), address->text());
  }
  // Last: before it says so, the device is not new to the kernel, which takes no notice of it.
  back.emplace_back("state", "1");
  const Nodes front{{"backend", pci_back(place.domid)}, {"backend-id", "0"}, {"state", "1"}};
  // Not its own: when it dies, the store would remove it, and pciback take the device back, before
  // the device is quiet.
  changes.replace(pci_front(place.domid), {.owner = 0, .reader = place.domid, .writes = true},
                  front);
  changes.replace(pci_back(place.domid), {.owner = 0, .reader = place.domid}, back);
  return {};
}

/// What tools read beside that.
Result<void> describe_pci(XsChanges& changes, const BusPlace& place) {
  if (place.pci.empty()) return {};
  const std::string back = pci_back(place.domid);
  changes.write(back + "/domain", place.name);
  for (std::size_t i = 0; i < place.pci.size(); ++i) {
    const auto address = parse_pci_address(place.pci[i]);
    if (!address) return std::unexpected(address.error());
    changes.write(fmt::format("{}/key-{}", back, i), address->text());
    changes.write(fmt::format("{}/opts-{}", back, i),
                  "msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=relaxed");
  }
  return {};
}

/// pciback's device for this domain: while it is there, pciback may map the domain's page, and has
/// not reset what it held. The bus's link to it would not do: the kernel removes that before the
/// driver lets go (device_del()).
bool pciback_has(DomId domid) {
  std::error_code code;
  return std::filesystem::exists(fmt::format("/sys/devices/pci-{}-0", domid), code);
}

Result<void> let_go(XsClient& store, DomId domid, const std::vector<std::string>& pci,
                    std::chrono::milliseconds limit) {
  for (const std::string& device : pci) {
    const auto address = parse_pci_address(device);
    if (!address) return std::unexpected(address.error());
    // One that is free already belongs to nobody, and is quiet.
    if (!pciback_has(domid)) break;
    if (auto quiet = quiet_pci(*address); !quiet) return quiet;
  }
  // A front-end that vanishes makes pciback unmap and let go of its devices; a back-end that
  // vanishes makes the kernel forget it.
  XsChanges removed;
  removed.remove(home_of(domid) + "/device/pci");
  removed.remove(fmt::format("/local/domain/0/backend/pci/{}", domid));
  const auto gone = store.in_transaction([&] { return store.change(removed); });
  if (!gone) return gone;
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count());
  while (pciback_has(domid)) {
    if (now_ns() >= end) {
      return refused(fmt::format("pciback does not let go of domain {}", domid));
    }
    // The kernel's thread does it, within a millisecond; sysfs announces nothing.
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 100'000};
    static_cast<void>(nanosleep(&kPause, nullptr));
  }
  return {};
}

}  // namespace

BusPlace place_of(const std::string& name, const DomainSpec& spec, const BuiltDomain& built) {
  return {.name = name,
          .domid = built.domid,
          .store_frame = built.store_frame,
          .store_port = built.store_port,
          .memory_mib = spec.memory_mib,
          .pci = spec.pci};
}

Result<BusReport> join_bus(const Xen& xen, XsClient& store, const BusPlace& place,
                           std::chrono::milliseconds limit) {
  const bool shared = pciback_has(place.domid);
  const std::array ends{pci_front(place.domid) + "/state", pci_back(place.domid) + "/state"};
  const auto states = store.read_all(ends);
  if (shared || states[0] || states[1]) {
    if (auto left = leave_bus(store, place.domid, place.pci, limit); !left) {
      return std::unexpected(left.error());
    }
  }
  for (const std::string& device : place.pci) {
    const auto address = parse_pci_address(device);
    const auto given = address ? assign_pci(xen, place.domid, *address)
                               : Result<void>(std::unexpected(address.error()));
    if (!given) return std::unexpected(given.error());
  }
  XsChanges known;
  known.introduce(place.domid, place.store_frame, place.store_port);
  make_home(known, place.domid);
  if (auto home = store.change(known); !home) return std::unexpected(home.error());
  const auto vifs = restore_vifs(store, place.domid);
  if (!vifs) return std::unexpected(vifs.error());
  // Last: from then on pciback works as well, which need not keep the domain from serving its vifs.
  if (!place.pci.empty()) {
    XsChanges offer;
    if (auto written = write_pci(offer, place); !written) return std::unexpected(written.error());
    if (auto offered = store.change(offer); !offered) return std::unexpected(offered.error());
  }
  return BusReport{.devices = place.pci.size(), .vifs = *vifs};
}

Result<void> furnish_home(XsClient& store, const BusPlace& place) {
  XsChanges home;
  write_home(home, place);
  if (auto described = describe_pci(home, place); !described) return described;
  if (auto written = store.change(home); !written) return written;
  return furnish_vifs(store, place.domid);
}

Result<void> leave_bus(XsClient& store, DomId domid, const std::vector<std::string>& pci,
                       std::chrono::milliseconds limit) {
  WithoutReset known;
  for (const std::string& device : pci) {
    if (!pciback_has(domid)) break;
    if (const auto address = parse_pci_address(device)) known.add(*address);
  }
  return let_go(store, domid, pci, limit);
}

Result<void> forget_bus(XsClient& store, DomId domid, const std::vector<std::string>& pci,
                        std::chrono::milliseconds limit) {
  if (auto left = let_go(store, domid, pci, limit); !left) return left;
  return store.remove(home_of(domid));
}

}  // namespace ppvmm::root

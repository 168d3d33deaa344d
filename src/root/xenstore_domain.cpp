#include "root/xenstore_domain.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "root/console.hpp"
#include "root/microreboot.hpp"
#include "root/store_probe.hpp"
#include "root/vitals_view.hpp"
#include "root/xen_headers.hpp"
extern "C" {
#include <xenstore.h>
}
#include <xen/io/xenbus.h>
#include <xen/sys/xenbus_dev.h>

namespace ppvmm::root {
namespace {

constexpr const char* kBackendDevice = "/dev/xen/xenbus_backend";
constexpr const char* kLibxlDirectory = "/var/lib/xen";
constexpr std::uint32_t kKibPerMib = 1024;

/// Lets dom0's kernel grant its store ring (as GNTTAB_RESERVED_XENSTORE) and a fresh port to
/// `domid`.
Result<std::uint32_t> hand_over_dom0(DomId domid) {
  const int device = open(kBackendDevice, O_RDWR | O_CLOEXEC);
  if (device < 0) return failed(std::string("open ") + kBackendDevice);
  const int port = ioctl(device, IOCTL_XENBUS_BACKEND_SETUP, domid);
  const int error = errno;
  close(device);
  if (port >= 0) return static_cast<std::uint32_t>(port);
  if (error == EEXIST) {
    return refused("dom0's kernel is attached to a XenStore already; it takes one per boot");
  }
  return std::unexpected(Failure{"hand dom0's XenStore connection over", error});
}

/// The last line on the console of a domain that did not do what it should.
std::string last_words(const Xen& xen, const BuiltDomain& built) {
  const auto console = ConsoleReader::map(xen, built);
  if (!console) return {};
  std::string text = console->peek();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  const std::size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text.empty() ? text : "; its last words: " + field_text(text);
}

/// Unpauses what was built and waits until it says that it is ready. Returns the time it took.
Result<std::uint64_t> run_until_ready(const Xen& xen, const Image& image, const BuiltDomain& built,
                                      std::chrono::milliseconds limit) {
  auto vitals = VitalsView::map(xen, image, built);
  if (!vitals) return std::unexpected(vitals.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  const std::uint64_t begin = now_ns();
  if (const auto on = xen.unpause(built.domid); !on) return std::unexpected(on.error());
  if (const auto on = wait_ready(xen, built.domid, *vitals, 0, *events, limit); !on) {
    return refused(on.error().text() + last_words(xen, built));
  }
  return now_ns() - begin;
}

Result<XenstoreBackup> run_backup(const Xen& xen, const Image& image, DomId domid, DomId primary,
                                  const XenstorePlan& plan, std::chrono::milliseconds limit) {
  XenstoreBackup backup;
  backup.spec = {.domid = domid,
                 .memory_mib = plan.backup_memory_mib,
                 .cmdline = fmt::format("role=backup primary={}{}{}", primary,
                                        plan.spec.cmdline.empty() ? "" : " ", plan.spec.cmdline),
                 .xenstore = false};
  auto built = build_domain(xen, image, domid, backup.spec);
  if (!built) return std::unexpected(built.error());
  backup.built = std::move(*built);
  const auto ready = run_until_ready(xen, image, backup.built, limit);
  if (!ready) return std::unexpected(ready.error());
  backup.ready_ns = *ready;
  return backup;
}

/// What the primary is told of its backups.
std::string roles_of(std::span<const DomId> backups) {
  if (backups.empty()) return {};
  return fmt::format("role=primary backups={} ", fmt::join(backups, ","));
}

Result<XenstoreStart> build_and_run(const Xen& xen, const Image& image, DomId domid,
                                    std::span<const DomId> backups, const XenstorePlan& plan,
                                    std::chrono::milliseconds limit) {
  XenstoreStart started;
  for (const DomId backup : backups) {
    auto member = run_backup(xen, image, backup, domid, plan, limit);
    if (!member) return std::unexpected(member.error());
    started.backups.push_back(std::move(*member));
  }
  const auto port = hand_over_dom0(domid);
  if (!port) return std::unexpected(port.error());
  started.dom0_port = *port;
  started.spec = plan.spec;
  started.spec.xenstore = true;
  started.spec.domid = domid;
  started.spec.cmdline = fmt::format("{}dom0_port={} dom0_grant={}{}{}", roles_of(backups), *port,
                                     GNTTAB_RESERVED_XENSTORE, plan.spec.cmdline.empty() ? "" : " ",
                                     plan.spec.cmdline);
  auto built = build_domain(xen, image, domid, started.spec);
  if (!built) return std::unexpected(built.error());
  started.built = std::move(*built);
  // From now on the store learns of every domain that shuts down or dies.
  if (xc_domain_set_virq_handler(xen.control(), domid, VIRQ_DOM_EXC) != 0) {
    return failed("route domain exceptions to the XenStore domain");
  }
  const std::uint64_t begin = now_ns();
  const auto ready = run_until_ready(xen, image, started.built, limit);
  if (!ready) return std::unexpected(ready.error());
  started.ready_ns = *ready;
  if (const auto answered = probe_store(limit); !answered) {
    return refused(answered.error().text() + last_words(xen, started.built));
  }
  started.answered_ns = now_ns() - begin;
  return started;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries entries_of(const DomainSpec& spec, const BuiltDomain& built, const std::string& name,
                   ConsoleKeeper keeper) {
  const DomId domid = built.domid;
  const std::string home = fmt::format("/local/domain/{}", domid);
  const std::string console = home + "/console";
  const std::string console_back = fmt::format("/local/domain/0/backend/console/{}/0", domid);
  const std::string memory_kib = std::to_string(spec.memory_mib * kKibPerMib);
  const std::string number = std::to_string(domid);
  // xenconsoled leaves a console of any other type alone.
  const std::string type = keeper == ConsoleKeeper::xenconsoled ? "xenconsoled" : "ppvmm-root";
  return {{home + "/domid", number},
          {home + "/name", name},
          {home + "/memory/target", memory_kib},
          {home + "/memory/static-max", memory_kib},
          {console_back + "/frontend-id", number},
          {console_back + "/frontend", console},
          {console_back + "/online", "1"},
          {console_back + "/state", std::to_string(XenbusStateInitialising)},
          {console_back + "/protocol", "vt100"},
          {console + "/backend", console_back},
          {console + "/backend-id", "0"},
          {console + "/limit", "1048576"},
          {console + "/type", type},
          {console + "/output", "pty"},
          {console + "/tty", ""},
          {console + "/port", std::to_string(built.console_port)},
          {console + "/ring-ref", std::to_string(built.console_frame)}};
}

/// libxl keeps each domain's configuration in a file and calls a domain without one broken
/// (`xl list -l`). Its name is made of the domain's id and handle; ours has the handle zero.
Result<void> write_config(DomId domid, const std::string& name, std::uint32_t memory_mib) {
  const std::string path = fmt::format(
      "{}/userdata-d.{}.00000000-0000-0000-0000-000000000000.libxl-json", kLibxlDirectory, domid);
  const nlohmann::json config{{"c_info", {{"type", "pv"}, {"name", name}}},
                              {"b_info",
                               {{"max_memkb", memory_mib * kKibPerMib},
                                {"target_memkb", memory_mib * kKibPerMib},
                                {"type.pv", nlohmann::json::object()}}}};
  std::ofstream file(path, std::ios::trunc);
  // libxl takes the terminating zero for part of the file.
  file << config.dump() << '\0';
  file.close();
  if (!file) return failed("write " + path);
  return {};
}

/// Takes back what a start that failed has made. A primary that ran stays for its console and
/// vitals to be read; the rest does not.
Result<void> clear_up(const Xen& xen, DomId primary, std::span<const DomId> backups) {
  Result<void> outcome;
  const auto facts = xen.domain(primary);
  // The primary first: it may have mapped the backups' pages.
  if (facts && facts->cpu_ns != 0) return outcome;
  outcome = xen.destroy(primary);
  for (const DomId backup : backups) {
    if (auto gone = xen.destroy(backup); !gone && outcome) outcome = gone;
  }
  return outcome;
}

Result<void> write_entries(const Entries& entries) {
  const std::unique_ptr<xs_handle, void (*)(xs_handle*)> store(xs_open(0), xs_close);
  if (!store) return failed("connect to XenStore");
  for (const auto& [path, value] : entries) {
    if (!xs_write(store.get(), XBT_NULL, path.c_str(), value.data(),
                  static_cast<unsigned>(value.size()))) {
      return failed("write " + path);
    }
  }
  return {};
}

}  // namespace

Result<XenstoreStart> start_xenstore(const Xen& xen, const Image& image, const XenstorePlan& plan,
                                     std::chrono::milliseconds limit) {
  const auto domains = xen.domains();
  const auto present = std::ranges::find_if(domains, &DomainFacts::xenstore);
  if (present != domains.end()) {
    return refused(fmt::format("domain {} is this host's XenStore already", present->domid));
  }
  DomainSpec empty = plan.spec;
  empty.xenstore = true;
  const auto domid = create_domain(xen, empty);
  if (!domid) return std::unexpected(domid.error());
  std::vector<DomId> backups;
  Result<XenstoreStart> started;
  while (started && backups.size() < plan.backups) {
    const auto backup = create_domain(
        xen, {.domid = {}, .memory_mib = plan.backup_memory_mib, .cmdline = {}, .xenstore = false});
    if (backup) {
      backups.push_back(*backup);
    } else {
      started = std::unexpected(backup.error());
    }
  }
  if (started) started = build_and_run(xen, image, *domid, backups, plan, limit);
  if (!started) {
    if (const auto gone = clear_up(xen, *domid, backups); !gone) {
      return std::unexpected(
          Failure{started.error().text() + "; then " + gone.error().what, gone.error().error});
    }
  }
  return started;
}

std::string backup_name(const std::string& name, std::size_t index) {
  return fmt::format("{}-backup-{}", name, index);
}

Result<void> publish_domain(const DomainSpec& spec, const BuiltDomain& built,
                            const std::string& name, ConsoleKeeper keeper) {
  if (auto told = write_entries(entries_of(spec, built, name, keeper)); !told) return told;
  return write_config(built.domid, name, spec.memory_mib);
}

Result<void> publish_xenstore(const XenstoreStart& started, const std::string& name,
                              ConsoleKeeper keeper) {
  for (std::size_t i = 0; i < started.backups.size(); ++i) {
    const XenstoreBackup& backup = started.backups[i];
    if (auto told = publish_domain(backup.spec, backup.built, backup_name(name, i), keeper);
        !told) {
      return told;
    }
  }
  if (auto told = publish_domain(started.spec, started.built, name, keeper); !told) return told;
  // Last: who finds this entry finds the rest.
  return write_entries({{"/tool/xenstored/domid", std::to_string(started.built.domid)}});
}

}  // namespace ppvmm::root

#include "root/xenstore_domain.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

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

Result<XenstoreStart> build_and_run(const Xen& xen, const Image& image, DomId domid,
                                    DomainSpec spec, std::chrono::milliseconds limit) {
  XenstoreStart started;
  const auto port = hand_over_dom0(domid);
  if (!port) return std::unexpected(port.error());
  started.dom0_port = *port;
  spec.domid = domid;
  spec.cmdline = fmt::format("dom0_port={} dom0_grant={}{}{}", *port, GNTTAB_RESERVED_XENSTORE,
                             spec.cmdline.empty() ? "" : " ", spec.cmdline);
  auto built = build_domain(xen, image, domid, spec);
  if (!built) return std::unexpected(built.error());
  started.spec = spec;
  started.built = std::move(*built);
  auto vitals = VitalsView::map(xen, image, started.built);
  if (!vitals) return std::unexpected(vitals.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  // From now on the store learns of every domain that shuts down or dies.
  if (xc_domain_set_virq_handler(xen.control(), domid, VIRQ_DOM_EXC) != 0) {
    return failed("route domain exceptions to the XenStore domain");
  }

  const std::uint64_t begin = now_ns();
  if (const auto on = xen.unpause(domid); !on) return std::unexpected(on.error());
  if (const auto on = wait_ready(xen, domid, *vitals, 0, *events, limit); !on) {
    return std::unexpected(on.error());
  }
  started.ready_ns = now_ns() - begin;
  if (const auto answered = probe_store(limit); !answered) {
    return std::unexpected(answered.error());
  }
  started.answered_ns = now_ns() - begin;
  return started;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries entries_of(const XenstoreStart& started, const std::string& name,
                   std::uint32_t memory_mib) {
  const DomId domid = started.built.domid;
  const std::string home = fmt::format("/local/domain/{}", domid);
  const std::string console = home + "/console";
  const std::string console_back = fmt::format("/local/domain/0/backend/console/{}/0", domid);
  const std::string memory_kib = std::to_string(memory_mib * kKibPerMib);
  const std::string number = std::to_string(domid);
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
          {console + "/type", "xenconsoled"},
          {console + "/output", "pty"},
          {console + "/tty", ""},
          {console + "/port", std::to_string(started.built.console_port)},
          {console + "/ring-ref", std::to_string(started.built.console_frame)},
          // Last: who finds this entry finds the rest.
          {"/tool/xenstored/domid", number}};
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

}  // namespace

Result<XenstoreStart> start_xenstore(const Xen& xen, const Image& image, DomainSpec spec,
                                     std::chrono::milliseconds limit) {
  const auto domains = xen.domains();
  const auto present = std::ranges::find_if(domains, &DomainFacts::xenstore);
  if (present != domains.end()) {
    return refused(fmt::format("domain {} is this host's XenStore already", present->domid));
  }
  spec.xenstore = true;
  const auto domid = create_domain(xen, spec);
  if (!domid) return std::unexpected(domid.error());
  auto started = build_and_run(xen, image, *domid, std::move(spec), limit);
  // A store that ran stays for its console and vitals to be read; an empty shell does not.
  if (!started) {
    if (const auto facts = xen.domain(*domid); facts && facts->cpu_ns == 0) {
      if (const auto gone = xen.destroy(*domid); !gone) return std::unexpected(gone.error());
    }
  }
  return started;
}

Result<void> publish_xenstore(const XenstoreStart& started, const std::string& name,
                              std::uint32_t memory_mib) {
  const std::unique_ptr<xs_handle, void (*)(xs_handle*)> store(xs_open(0), xs_close);
  if (!store) return failed("connect to XenStore");
  for (const auto& [path, value] : entries_of(started, name, memory_mib)) {
    if (!xs_write(store.get(), XBT_NULL, path.c_str(), value.data(),
                  static_cast<unsigned>(value.size()))) {
      return failed("write " + path);
    }
  }
  return write_config(started.built.domid, name, memory_mib);
}

}  // namespace ppvmm::root

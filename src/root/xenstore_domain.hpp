/// The host's XenStore as unikernels of ours, one alone or a primary with backups: making the
/// domains, handing dom0's connection over, and telling the tool stack where the store lives.
///
/// What must happen is Xen's: XEN_DOMCTL_CDF_xs_domain, IOCTL_XENBUS_BACKEND_SETUP
/// (xen/sys/xenbus_dev.h), VIRQ_DOM_EXC routed to the domain, docs/misc/xenstore-paths.pandoc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// What is to be made.
struct XenstorePlan {
  DomainSpec spec;                    ///< Of the primary. `cmdline` goes to every member.
  std::uint32_t backups{};            ///< 0: the store stands alone.
  std::uint32_t backup_memory_mib{};  ///< Of each backup.
};

/// One backup, running.
struct XenstoreBackup {
  DomainSpec spec;
  BuiltDomain built;
  std::uint64_t ready_ns{};  ///< From unpause until its vitals page said ready.
};

struct XenstoreStart {
  DomainSpec spec;  ///< Complete: a rebuild from it finds dom0's connection again.
  BuiltDomain built;
  std::uint32_t dom0_port{};    ///< Dom0's port of the store connection.
  std::uint64_t ready_ns{};     ///< From unpause until the vitals page said ready.
  std::uint64_t answered_ns{};  ///< From unpause until dom0's kernel had a first answer.
  std::vector<XenstoreBackup> backups;
};

/// Builds the XenStore domain and unpauses it; returns when it has answered a read that went
/// through dom0's own kernel. With backups: all domains are made empty first, so that each can be
/// told the ids of the others; the backups run and are ready before the primary is built
/// (abi/xenstore_set.hpp). `spec.cmdline` gets what the members must know in front.
/// Fails when a XenStore domain exists, or when dom0's kernel has a store already.
[[nodiscard]] Result<XenstoreStart> start_xenstore(const Xen& xen, const Image& image,
                                                   const XenstorePlan& plan,
                                                   std::chrono::milliseconds limit);

/// Who reads a member's console ring. xenconsoled keeps the ring of a dead domain mapped until the
/// store tells it of the death, and with it the domain's id: a member that must be rebuilt within
/// milliseconds has its console read by root.
enum class ConsoleKeeper : std::uint8_t { xenconsoled, root };

/// Name of a backup of the store called `name`.
[[nodiscard]] std::string backup_name(const std::string& name, std::size_t index);

/// Writes the entries by which libxl and xenconsoled find the domains (/tool/xenstored/domid, their
/// names, memory and consoles), and the configuration that libxl keeps of every domain.
[[nodiscard]] Result<void> publish_xenstore(const XenstoreStart& started, const std::string& name,
                                            ConsoleKeeper keeper);

/// The same for one domain that is not the store itself: a backup, also after it was built anew.
[[nodiscard]] Result<void> publish_domain(const DomainSpec& spec, const BuiltDomain& built,
                                          const std::string& name, ConsoleKeeper keeper);

}  // namespace ppvmm::root

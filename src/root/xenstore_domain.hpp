/// The host's XenStore as a unikernel of ours: making the domain, handing dom0's connection over to
/// it, and telling the tool stack where the store lives.
///
/// What must happen is Xen's: XEN_DOMCTL_CDF_xs_domain, IOCTL_XENBUS_BACKEND_SETUP
/// (xen/sys/xenbus_dev.h), VIRQ_DOM_EXC routed to the domain, docs/misc/xenstore-paths.pandoc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

struct XenstoreStart {
  DomainSpec spec;  ///< Complete: a rebuild from it finds dom0's connection again.
  BuiltDomain built;
  std::uint32_t dom0_port{};    ///< Dom0's port of the store connection.
  std::uint64_t ready_ns{};     ///< From unpause until the vitals page said ready.
  std::uint64_t answered_ns{};  ///< From unpause until dom0's kernel had a first answer.
};

/// Builds the XenStore domain and unpauses it; returns when it has answered a read that went
/// through dom0's own kernel. `spec.cmdline` gets the connection's port and grant in front.
/// Fails when a XenStore domain exists, or when dom0's kernel has a store already.
[[nodiscard]] Result<XenstoreStart> start_xenstore(const Xen& xen, const Image& image,
                                                   DomainSpec spec,
                                                   std::chrono::milliseconds limit);

/// Writes the entries by which libxl and xenconsoled find the domain (/tool/xenstored/domid, its
/// name, memory and console), and the configuration that libxl keeps of every domain.
[[nodiscard]] Result<void> publish_xenstore(const XenstoreStart& started, const std::string& name,
                                            std::uint32_t memory_mib);

}  // namespace ppvmm::root

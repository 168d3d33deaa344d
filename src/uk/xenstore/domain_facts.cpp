// The control interface's structures are only declared for tools; this must come before any header
// of Xen's.
#define __XEN_TOOLS__ 1

#include "uk/xenstore/domain_facts.hpp"

#include <xen/domctl.h>

#include "abi/hypercall.hpp"

namespace ppvmm::xenstore {
namespace {

/// 4.17 has 0x15, 4.20 has 0x17, the development tree 0x18.
constexpr std::uint32_t kOldestVersion = 0x15;
constexpr std::uint32_t kNewestVersion = 0x1F;

/// Xen copies as many bytes as *its* structure has, which may be more than ours.
union Request {
  xen_domctl op;
  std::byte room[2048];
};
static_assert(sizeof(xen_domctl) < sizeof(Request) / 2);
static_assert(offsetof(xen_domctl, u) == 16);
static_assert(offsetof(xen_domctl_getdomaininfo, flags) == 4);

long ask(Request& request, std::uint32_t version, store::DomId domid) {
  request = {};
  request.op.cmd = XEN_DOMCTL_getdomaininfo;
  request.op.interface_version = version;
  request.op.domain = domid;
  return abi::hypercall(__HYPERVISOR_domctl, abi::arg(&request));
}

}  // namespace

std::optional<DomainFacts> DomainFacts::probe() {
  Request request;
  for (std::uint32_t version = kOldestVersion; version <= kNewestVersion; ++version) {
    if (ask(request, version, 0) == 0) return DomainFacts(version);
  }
  return std::nullopt;
}

DomainState DomainFacts::state_of(store::DomId domid) const {
  Request request;
  // Asked for an id that is free, Xen answers with the next one that is not.
  if (ask(request, version_, domid) != 0 || request.op.domain != domid) return DomainState::dead;
  const std::uint32_t flags = request.op.u.getdomaininfo.flags;
  if ((flags & XEN_DOMINF_dying) != 0) return DomainState::dead;
  return (flags & XEN_DOMINF_shutdown) != 0 ? DomainState::shut_down : DomainState::alive;
}

}  // namespace ppvmm::xenstore

/// One domain's connection as the XenStore domain holds it: its ring page, mapped, and its event
/// channel, bound.
///
/// Ring: Xen docs/misc/xenstore-ring.txt. A toolstack grants the page to the XenStore domain as
/// GNTTAB_RESERVED_XENSTORE (public/grant_table.h) when it builds the guest. Mapping by frame
/// number instead, as a store in dom0 can, is not open to this domain: Xen reserves that for the
/// privileged. So a guest without that grant cannot be attached, and the INTRODUCE fails.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>

#include "abi/xen.hpp"
#include "kernel/grants.hpp"
#include "store/machine.hpp"
#include "store/ring.hpp"

namespace ppvmm::xenstore {

class GuestLink {
 public:
  /// Maps page `grant` of `domid`, binds to its port `remote_port` and shows what the server can
  /// do.
  [[nodiscard]] static std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> attach(
      store::DomId domid, abi::GrantRef grant, abi::Port remote_port);
  /// Lets go of both, so that a dying domain can end.
  ~GuestLink();
  GuestLink(const GuestLink&) = delete;
  GuestLink& operator=(const GuestLink&) = delete;

  [[nodiscard]] store::DomId domid() const { return domid_; }
  [[nodiscard]] abi::Port port() const { return port_; }
  [[nodiscard]] store::ServerRing& ring() { return ring_; }

 private:
  GuestLink(store::DomId domid, kernel::grants::Mapping page, abi::Port port);

  store::DomId domid_;
  kernel::grants::Mapping page_;
  abi::Port port_;
  store::ServerRing ring_;
};

}  // namespace ppvmm::xenstore

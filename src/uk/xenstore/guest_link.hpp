/// One domain's connection as the primary holds it: its ring page, mapped, and its event channel,
/// bound. Both stay over microreboots, so that a reborn store finds them instead of asking Xen.
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
#include "replication/shared_memory.hpp"
#include "store/machine.hpp"

namespace ppvmm::xenstore {

class GuestLink {
 public:
  /// Maps page `grant` of `domid` and binds to its port `remote_port`.
  [[nodiscard]] static std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> attach(
      store::DomId domid, abi::GrantRef grant, abi::Port remote_port);
  /// What an earlier life of this domain had attached; where that is not there (a domain that was
  /// built anew), attaches.
  [[nodiscard]] static std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> resume(
      store::DomId domid, abi::GrantRef grant, abi::Port remote_port);
  /// Lets go of both, so that a dying domain can end.
  ~GuestLink();
  GuestLink(const GuestLink&) = delete;
  GuestLink& operator=(const GuestLink&) = delete;

  [[nodiscard]] store::DomId domid() const { return domid_; }
  [[nodiscard]] abi::Port port() const { return port_; }
  [[nodiscard]] replication::SharedMemory page() const;

 private:
  GuestLink(store::DomId domid, kernel::grants::Mapping page, abi::Port port);

  store::DomId domid_;
  kernel::grants::Mapping page_;
  abi::Port port_;
};

}  // namespace ppvmm::xenstore

// The functions of libxenctrl, libxenevtchn and libxengnttab that xenstored and oxenstored call to
// reach the hypervisor, answered by the stand-in. Signatures come from the public headers, so a
// change of theirs fails to compile here.
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <cerrno>

// These headers are written for C.
extern "C" {
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>
}

#include "peers/fakexen/xen.hpp"

namespace {

using ppvmm::peers::Domain;
using ppvmm::peers::kDomains;
using ppvmm::peers::kPageSize;
using ppvmm::peers::Xen;

// Handles are only passed back to us; they need an address, not a content.
char handle_storage;

template <typename Handle>
Handle* handle() {
  return reinterpret_cast<Handle*>(&handle_storage);
}

int refuse(int error) {
  errno = error;
  return -1;
}

/// The first existing domain from `domid` on, as Xen enumerates them.
Domain* first_from(std::uint32_t& domid) {
  for (; domid < kDomains; ++domid)
    if (Domain* domain = Xen::get().domain(domid)) return domain;
  return nullptr;
}

}  // namespace

extern "C" {

xc_interface* xc_interface_open(xentoollog_logger*, xentoollog_logger*, unsigned) {
  Xen::get();
  return handle<xc_interface>();
}

int xc_interface_close(xc_interface*) {
  return 0;
}

int xc_domain_getinfo(xc_interface*, uint32_t first, unsigned count, xc_dominfo_t* info) {
  std::uint32_t domid = first;
  unsigned filled = 0;
  for (; filled < count; ++filled, ++domid) {
    const Domain* const domain = first_from(domid);
    if (domain == nullptr) break;
    const std::uint32_t state = domain->state;
    info[filled] = {};
    info[filled].domid = domid;
    info[filled].dying = (state & ppvmm::peers::kDying) != 0;
    // libxenctrl reports a crash as `crashed` alone, any other reason as `shutdown`.
    info[filled].crashed = (state & ppvmm::peers::kCrashed) != 0;
    info[filled].shutdown = (state & ppvmm::peers::kShutdown) != 0 && info[filled].crashed == 0;
  }
  return static_cast<int>(filled);
}

int xc_domain_getinfolist(xc_interface*, uint32_t first, unsigned count, xc_domaininfo_t* info) {
  std::uint32_t domid = first;
  unsigned filled = 0;
  for (; filled < count; ++filled, ++domid) {
    const Domain* const domain = first_from(domid);
    if (domain == nullptr) break;
    const std::uint32_t state = domain->state;
    info[filled] = {};
    info[filled].domain = static_cast<domid_t>(domid);
    if ((state & ppvmm::peers::kDying) != 0) info[filled].flags |= XEN_DOMINF_dying;
    if ((state & ppvmm::peers::kShutdown) != 0) info[filled].flags |= XEN_DOMINF_shutdown;
    if ((state & ppvmm::peers::kCrashed) != 0)
      info[filled].flags |= XEN_DOMINF_shutdown | (SHUTDOWN_crash << XEN_DOMINF_shutdownshift);
  }
  return static_cast<int>(filled);
}

void* xc_map_foreign_range(xc_interface*, uint32_t domid, int size, int, unsigned long) {
  if (size != static_cast<int>(kPageSize)) {
    errno = EINVAL;
    return nullptr;
  }
  return Xen::get().map_ring(domid);
}

xengnttab_handle* xengnttab_open(xentoollog_logger*, unsigned) {
  return handle<xengnttab_handle>();
}

int xengnttab_close(xengnttab_handle*) {
  return 0;
}

int xengnttab_set_max_grants(xengnttab_handle*, uint32_t) {
  return 0;
}

void* xengnttab_map_grant_ref(xengnttab_handle*, uint32_t domid, uint32_t ref, int) {
  if (ref != GNTTAB_RESERVED_XENSTORE) {
    errno = EINVAL;
    return nullptr;
  }
  return Xen::get().map_ring(domid);
}

int xengnttab_unmap(xengnttab_handle*, void* start, uint32_t count) {
  return munmap(start, count * kPageSize);
}

xenevtchn_handle* xenevtchn_open(xentoollog_logger*, unsigned) {
  Xen::get();
  return handle<xenevtchn_handle>();
}

xenevtchn_handle* xenevtchn_fdopen(xentoollog_logger*, int, unsigned) {
  // Only live update hands a descriptor over; the stand-in has no use for it.
  errno = ENOSYS;
  return nullptr;
}

int xenevtchn_close(xenevtchn_handle*) {
  return 0;
}

int xenevtchn_fd(xenevtchn_handle*) {
  return Xen::get().event_fd();
}

int xenevtchn_notify(xenevtchn_handle*, evtchn_port_t port) {
  return Xen::get().notify(port);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle*, uint32_t domid,
                                                     evtchn_port_t remote) {
  return Xen::get().bind_interdomain(domid, remote);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle*, unsigned virq) {
  if (virq != ppvmm::peers::kVirqDomExc) return refuse(EINVAL);
  return Xen::get().bind_virq(virq);
}

int xenevtchn_unbind(xenevtchn_handle*, evtchn_port_t port) {
  return Xen::get().unbind(port);
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle*) {
  return Xen::get().pending();
}

int xenevtchn_unmask(xenevtchn_handle*, evtchn_port_t port) {
  return Xen::get().unmask(port);
}

}  // extern "C"

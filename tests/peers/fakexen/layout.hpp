/// What the stand-in hypervisor and the harness share: one file, `machine`, mapped by both, and per
/// domain one file with its ring page. Everything is in one directory, named by FAKEXEN_DIR.
///
///   machine          domain table and the daemon's event channel ports (struct Machine)
///   ring-<domid>     the page that the domain grants to XenStore (public io/xs_wire.h)
///   up               FIFO: 4-byte local port numbers that became pending for the daemon
///   down-<domid>     FIFO: one byte per notification of the domain by the daemon
///   xsd_port         dom0's port as text, in place of /proc/xen/xsd_port
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ppvmm::peers {

inline constexpr std::uint32_t kMagic = 0x46584E31;  // "FXN1"
inline constexpr std::uint32_t kDomains = 0x7FF0;    // DOMID_FIRST_RESERVED, public/xen.h
inline constexpr std::uint32_t kPorts = 4096;
inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::uint32_t kVirqDomExc = 3;  // VIRQ_DOM_EXC, public/xen.h

/// Bits of Domain::state.
inline constexpr std::uint32_t kExists = 1;
inline constexpr std::uint32_t kDying = 2;
inline constexpr std::uint32_t kShutdown = 4;
inline constexpr std::uint32_t kCrashed = 8;

struct Domain {
  std::atomic<std::uint32_t> state;
  /// The one port the domain has allocated, unbound, for XenStore; 0: none. The harness sets it.
  std::atomic<std::uint32_t> offered_port;
  /// The daemon's end while bound, else 0. The stand-in sets it.
  std::atomic<std::uint32_t> local_port;
  std::uint32_t reserved;
};
static_assert(sizeof(Domain) == 16);

/// One event channel port of the daemon, with Xen's semantics: an event on a masked port stays
/// pending, an event on a pending port is merged with it.
struct Port {
  enum Kind : std::uint32_t { free, interdomain, virq };
  std::atomic<std::uint32_t> kind;
  std::atomic<std::uint32_t> peer;  ///< Domid of an interdomain port, number of a VIRQ.
  std::atomic<std::uint32_t> pending;
  std::atomic<std::uint32_t> masked;
};
static_assert(sizeof(Port) == 16);

struct Machine {
  std::atomic<std::uint32_t> magic;
  std::uint32_t reserved[3];
  Port ports[kPorts];  ///< Port 0 is never used.
  Domain domains[kDomains];
};
static_assert(offsetof(Machine, domains) == 16 + 16 * kPorts);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

/// Raises an event on one of the daemon's ports. `up` is the FIFO's descriptor.
void raise(Port& port, std::uint32_t number, int up);

}  // namespace ppvmm::peers

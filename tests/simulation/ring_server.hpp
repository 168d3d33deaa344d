/// Joins a guest's ring page to its connection in the machine, without replication: the simulation
/// of the store alone has no backups to log to. What a host runs is replication::Primary, which has
/// a simulation of its own (tests/replication).
///
/// After an event on a domain's port or when the machine says that the connection is ready: `const
/// Service s = serve(machine, domid, ring);` then notify the guest if `s.notify`, and call again,
/// after the other domains had their turn, if `s.again`. Effects are taken from the machine after
/// every call; on `reset_ring`: ring.reset() and notify.
#pragma once

#include "store/machine.hpp"
#include "store/ring.hpp"

namespace ppvmm::simulation {

/// What serve() leaves to the shell.
struct Service {
  bool notify{};  ///< The page changed: the guest's port wants an event.
  bool again{};   ///< There is more to do, but other domains come first.
};

/// Passes bytes both ways until the guest has nothing more, the machine takes no more, the response
/// queue is full, or this domain has had its turn (a few rings' worth of requests, so that one
/// guest cannot keep the server for itself). A guest whose indexes cannot be, or whose messages
/// break the protocol, is told why in the page and is served again only after a reconnection.
/// Does nothing for a domain that is not introduced.
Service serve(store::Machine& machine, store::DomId domid, store::ServerRing& ring);

}  // namespace ppvmm::simulation

#include "simulation/ring_server.hpp"

#include <array>

namespace ppvmm::simulation {
namespace {

using store::ConnId;
using store::DomId;
using store::Machine;
using store::ServerRing;

/// Rings' worth of requests in one turn.
constexpr int kTurn = 4;

/// Moves answers and events into the ring. False when the page is beyond use.
bool drain(Machine& machine, ConnId conn, ServerRing& ring, Service& service) {
  while (true) {
    const auto waiting = machine.to_send(conn);
    if (waiting.empty()) return true;
    const auto written = ring.responses.write(waiting);
    if (!written) return false;
    if (*written == 0) return true;
    machine.sent(conn, *written);
    service.notify = true;
  }
}

Service stop(ServerRing& ring, std::uint32_t why) {
  ring.report(why);
  return {.notify = true, .again = false};
}

}  // namespace

Service serve(Machine& machine, DomId domid, ServerRing& ring) {
  // The request to reconnect comes first: until it is granted no other field means anything.
  if (ring.reconnect_requested()) {
    machine.reconnect(domid);
    return {};
  }
  const auto found = machine.connection_of(domid);
  if (!found || machine.broken(*found)) return {};
  const ConnId conn = *found;

  Service service;
  std::array<std::byte, store::kRingBytes> requests;  // NOLINT: filled by peek()
  for (int round = 0; round < kTurn; ++round) {
    // Answers first: a machine that holds too many of them takes no requests.
    if (!drain(machine, conn, ring, service)) {
      machine.fail(conn);
      return stop(ring, XENSTORE_ERROR_RINGIDX);
    }
    const auto count = ring.requests.peek(requests);
    if (!count) {
      machine.fail(conn);
      return stop(ring, XENSTORE_ERROR_RINGIDX);
    }
    const std::size_t taken =
        *count == 0 ? 0 : machine.receive(conn, std::span{requests}.first(*count));
    if (machine.broken(conn)) return stop(ring, XENSTORE_ERROR_PROTO);
    if (taken == 0) return service;
    ring.requests.consume(taken);
    service.notify = true;
  }
  if (!drain(machine, conn, ring, service)) {
    machine.fail(conn);
    return stop(ring, XENSTORE_ERROR_RINGIDX);
  }
  service.again = true;
  return service;
}

}  // namespace ppvmm::simulation

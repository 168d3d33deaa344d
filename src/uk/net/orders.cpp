#include "uk/net/orders.hpp"

#include "kernel/console.hpp"

namespace ppvmm::netuk {

using kernel::Level;
using kernel::log;

void log_statistics(Plumbing& plumbing) {
  const net::DataPath& path = plumbing.path();
  const net::DataPath::Statistics& all = path.statistics();
  const net::Shadow::Statistics shadow = path.shadow_statistics();
  const net::BufferPool::Statistics pool = plumbing.pool().statistics();
  log(Level::info, "path: passes ", all.passes, " copies ", all.copies, " from wire ",
      all.from_wire, " to wire ", all.to_wire, " starved ", all.starved, " link dropped ",
      all.link_dropped, " joined ", path.coalesced().joined, " buffers free ", pool.free_buffers,
      " of ", pool.buffers, " records free ", pool.free_frames);
  log(Level::info, "path: lent from guest to guest ", all.lent, " fetched ", all.fetched, " lost ",
      all.lent_lost, " parked ", all.parked, " not flooded ", all.storm_dropped, " no record ",
      all.flood_dropped);
  log(Level::info, "shadow: held ", path.shadow().held(), " (most ", shadow.held_most, ") sent ",
      shadow.sent, " refused ", shadow.refused, " resent ", shadow.resent, " dropped ",
      shadow.dropped, " full ", shadow.full, " unknown ", shadow.unknown);
  const net::Switch::Statistics& bridge = path.bridge().statistics();
  log(Level::info, "switch: unicast ", bridge.unicast, " flooded ", bridge.flooded, " spoofed ",
      bridge.dropped_spoofed, " same ", bridge.dropped_same, " local ", bridge.dropped_local,
      " runt ", bridge.dropped_runt);
  for (net::PortId port = 1; port < net::kPortsMax; ++port) {
    const net::Vif* const vif = path.vif(port);
    if (vif == nullptr) continue;
    const net::VifStatistics& counts = vif->statistics;
    log(Level::info, "vif", vif->settings.domid, ".", vif->settings.handle, ": tx ",
        counts.tx_packets, " errors ", counts.tx_errors, " unanswered at adoption ",
        counts.tx_unanswered, " rx ", counts.rx_packets, " full ", counts.rx_dropped_full,
        " expired ", counts.rx_dropped_expired, " unfit ", counts.rx_dropped_unfit, " bad grants ",
        counts.tx_bad_grants + counts.rx_bad_grants);
    for (const net::Queue& queue : vif->queues) {
      log(Level::info, "  queue: held ", queue.tx.held(), " unread ", queue.tx.unread(), " work ",
          queue.tx_work, " backlog ", queue.backlog.size(), " stalled ", queue.stalled,
          " receive buffers ", queue.rx.available().value_or(0), " parked ", vif->parked.size());
    }
  }
}

kernel::task::Task<> obey(Plumbing& plumbing, Wire& wire, xenbus::Store& store) {
  if (const auto made = co_await store.write("data/order", ""); !made) {
    log(Level::warning, "no orders: ", xenbus::text_of(made.error()));
    co_return;
  }
  xenbus::Watch watch(store, "data/order");
  while (co_await watch.next()) {
    const auto order = co_await store.read("data/order");
    if (!order) continue;
    if (*order == "statistics") log_statistics(plumbing);
    if (*order == "damage driver") wire.damage_driver();
    if (*order == "stick device") wire.stick_transmitter();
  }
}

}  // namespace ppvmm::netuk

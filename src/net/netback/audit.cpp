// The probe: a data path that was damaged is found before it harms its guests, or stands still.
#include <algorithm>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"

namespace ppvmm::net {
namespace {

/// Looks in a row without any movement that are too many.
constexpr unsigned kStillLooks = 2;

}  // namespace

DataPath::Audit DataPath::audit(const Limits& limits) {
  if (limits != limits_) return {.broken = "its limits are damaged", .bad = {}};
  if (contradiction_) return {.broken = contradiction_, .bad = {}};
  if (ports_.size() >= kPortsMax) return {.broken = "its list of ports is damaged", .bad = {}};
  std::size_t vifs = 0;
  for (const auto& vif : vifs_)
    vifs += vif ? 1u : 0u;
  for (const PortId port : ports_) {
    if (port >= kPortsMax || !vifs_[port]) return {.broken = "a port has no vif", .bad = {}};
  }
  if (vifs != ports_.size()) return {.broken = "a vif has no port", .bad = {}};
  if (!incoming_.empty() || !outgoing_.empty() || !copies_.empty()) {
    return {.broken = "a pass left something behind", .bad = {}};
  }
  if (!shadow_.sound()) return {.broken = "the shadow's counts are damaged", .bad = {}};
  if (!pool_->consistent()) return {.broken = "the pool's lists are damaged", .bad = {}};
  Audit found;
  for (const PortId port : ports_) {
    Vif& vif = *vifs_[port];
    if (vif.hostile) continue;
    const bool queues = !vif.queues.empty() && vif.queues.size() <= kQueuesMax;
    const bool good = queues && std::ranges::all_of(vif.queues, [&](Queue& queue) {
                        return sound(vif, queue) && !stands_still(vif, queue);
                      });
    if (!good) found.bad.push_back(port);
  }
  return found;
}

bool DataPath::sound(const Vif& vif, const Queue& queue) const {
  if (!queue.tx.sound() || !queue.rx.sound() || queue.backlog.size() > kRingSlots) return false;
  std::uint32_t buffers = 0;
  for (const Queue::Waiting& waiting : queue.backlog) {
    if (!waiting.frame) return false;
    buffers += buffers_of(waiting.frame);
  }
  if (buffers != queue.backlog_buffers) return false;
  // A packet that nobody holds will never be answered.
  if (queue.tx.held() == 0 || shadow_.held() > 0 || !vif.parked.empty()) return true;
  return std::ranges::any_of(ports_, [&](PortId port) {
    return std::ranges::any_of(vifs_[port]->queues,
                               [](const Queue& each) { return !each.backlog.empty(); });
  });
}

/// Requests wait, nothing stands in their way, and none was read or answered since the last look.
bool DataPath::stands_still(Vif& vif, Queue& queue) const {
  const std::uint32_t read = std::exchange(queue.seen_read, queue.tx.read());
  const std::uint32_t answered = std::exchange(queue.seen_answered, queue.tx.answered());
  const bool moved = read != queue.tx.read() || answered != queue.tx.answered();
  const bool could = queue.tx.unread() > 0 && vif.parked.empty() && vif.bucket.open(now_ns_) &&
                     queue.tx.held() < kRingSlots / 2 &&
                     pool_->statistics().free_buffers > limits_.reserve;
  queue.still_looks = moved || !could ? 0 : queue.still_looks + 1;
  // A lost event looks the same: the first time the ring is only looked at.
  if (queue.still_looks > 0) queue.tx_work = true;
  return queue.still_looks > kStillLooks;
}

}  // namespace ppvmm::net

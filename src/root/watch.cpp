#include "root/watch.hpp"

#include <utility>

#include "root/observe.hpp"

namespace ppvmm::root {

Result<Watch> Watch::open(const Xen& xen, const Image& image, const BuiltDomain& built,
                          bool exceptions) {
  auto vitals = VitalsView::map(xen, image, built);
  if (!vitals) return std::unexpected(vitals.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  if (exceptions) {
    if (const auto bound = events->bind_domain_exceptions(); !bound) {
      return std::unexpected(bound.error());
    }
  }
  Watch watch(xen, built.domid, std::move(*vitals), std::move(*events));
  if (const auto linked = watch.link_up(); !linked) return std::unexpected(linked.error());
  return watch;
}

Observation Watch::look() const {
  // Facts first: what the page says after the domain has stopped is its last word.
  const auto facts = xen_->domain(domid_);
  const abi::Vitals page = vitals_.page();
  if (facts) return observation_of(*facts, page, now_ns());
  Observation seen;
  seen.now_ns = now_ns();
  return seen;
}

Result<void> Watch::link_up() {
  const std::uint32_t offered = vitals_.page().supervisor_port;
  if (offered == 0 || offered == linked_to_) return {};
  const auto port = events_.bind(domid_, offered);
  if (!port) return std::unexpected(port.error());
  link_ = *port;
  linked_to_ = offered;
  return {};
}

Result<void> Watch::ping() {
  if (const auto linked = link_up(); !linked) return linked;
  vitals_.order_ping(vitals_.page().orders.ping + 1);
  return link_ ? events_.notify(*link_) : Result<void>{};
}

Result<Health> Watch::until_ill(Judge& judge, std::chrono::milliseconds pace,
                                std::chrono::milliseconds limit) {
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count());
  while (true) {
    if (!link_) {
      if (const auto linked = link_up(); !linked) return std::unexpected(linked.error());
    }
    const Observation seen = look();
    const Health health = judge.observe(seen);
    switch (health) {
      case Health::starting:
      case Health::working:
        break;
      case Health::silent:
        if (const auto pinged = ping(); !pinged) return std::unexpected(pinged.error());
        break;
      default:
        return health;
    }
    if (seen.now_ns >= end) return health;
    if (const auto heard = events_.wait(pace); !heard) return std::unexpected(heard.error());
  }
}

}  // namespace ppvmm::root

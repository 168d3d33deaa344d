/// Watching one unikernel: what Xen and the vitals page say, as an Observation for the judge, and
/// waiting until the judge has something to say.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "root/builder.hpp"
#include "root/events.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/judge.hpp"
#include "root/vitals_view.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

class Watch {
 public:
  /// Maps the vitals and opens event channels. `exceptions`: also hear of domain deaths from Xen
  /// (one holder per host: not beside a XenStore).
  [[nodiscard]] static Result<Watch> open(const Xen& xen, const Image& image,
                                          const BuiltDomain& built, bool exceptions);

  /// One look, now.
  [[nodiscard]] Observation look() const;

  /// Binds to the supervisor port the unikernel offers, if it does and that is not done yet.
  [[nodiscard]] Result<void> link_up();
  /// The local port bound to it.
  [[nodiscard]] std::optional<Events::Port> link() const { return link_; }

  /// Asks for a sign of life and wakes the unikernel.
  [[nodiscard]] Result<void> ping();

  /// Looks whenever an event says so, and every `pace` without one, until the opinion is one of
  /// those that ask for a repair, or `limit` has passed; pings when the judge wants it.
  [[nodiscard]] Result<Health> until_ill(Judge& judge, std::chrono::milliseconds pace,
                                         std::chrono::milliseconds limit);

  [[nodiscard]] VitalsView& vitals() { return vitals_; }
  [[nodiscard]] Events& events() { return events_; }

 private:
  Watch(const Xen& xen, DomId domid, VitalsView vitals, Events events)
      : xen_(&xen), domid_(domid), vitals_(std::move(vitals)), events_(std::move(events)) {}

  const Xen* xen_;
  DomId domid_;
  VitalsView vitals_;
  Events events_;
  std::optional<Events::Port> link_;
  std::uint32_t linked_to_{};
};

}  // namespace ppvmm::root

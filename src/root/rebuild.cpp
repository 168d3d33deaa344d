#include "root/rebuild.hpp"

#include <poll.h>

#include <utility>

#include "root/events.hpp"
#include "root/microreboot.hpp"
#include "root/vitals_view.hpp"
#include "root/xen_headers.hpp"

namespace ppvmm::root {

Result<void> destroy_and_wait(const Xen& xen, DomId domid, std::chrono::milliseconds limit) {
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count());
  if (!xen.domain(domid)) return {};
  if (auto gone = xen.destroy(domid); !gone) return gone;
  while (xen.domain(domid)) {
    if (now_ns() >= end) {
      return refused("domain " + std::to_string(domid) +
                     " does not go away: somebody still maps its pages");
    }
    poll(nullptr, 0, 1);  // nothing announces the end of a domain to us
  }
  return {};
}

Result<BuiltDomain> build_in_place(const Xen& xen, const Image& image, const DomainSpec& spec) {
  if (!spec.domid) return refused("a rebuild needs the domain id");
  auto built = create_and_build(xen, image, spec);
  if (!built) return built;
  if (spec.xenstore && xc_domain_set_virq_handler(xen.control(), *spec.domid, VIRQ_DOM_EXC) != 0) {
    return failed("route domain exceptions to the XenStore domain");
  }
  return built;
}

Result<Rebuilt> rebuild(const Xen& xen, const Image& image, const DomainSpec& spec,
                        std::chrono::milliseconds limit) {
  if (!spec.domid) return refused("a rebuild needs the domain id");
  Rebuilt result;
  const std::uint64_t begin = now_ns();
  if (auto gone = destroy_and_wait(xen, *spec.domid, limit); !gone) {
    return std::unexpected(gone.error());
  }
  const std::uint64_t destroyed = now_ns();
  auto built = build_in_place(xen, image, spec);
  if (!built) return std::unexpected(built.error());
  const std::uint64_t ready_to_run = now_ns();
  auto vitals = VitalsView::map(xen, image, *built);
  if (!vitals) return std::unexpected(vitals.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  if (auto on = xen.unpause(*spec.domid); !on) return std::unexpected(on.error());
  if (auto on = wait_ready(xen, *spec.domid, *vitals, 0, *events, limit); !on) {
    return std::unexpected(on.error());
  }
  const std::uint64_t end = now_ns();
  result.built = std::move(*built);
  result.times = {.destroy = destroyed - begin,
                  .build = ready_to_run - destroyed,
                  .ready = end - ready_to_run,
                  .total = end - begin};
  return result;
}

}  // namespace ppvmm::root

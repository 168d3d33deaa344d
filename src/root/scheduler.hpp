/// How Xen's scheduler treats unikernels: they do little, and others wait for it.
///
/// Xen's credit2 (the default) lets whoever runs go on for a millisecond before somebody who wakes
/// up may take its place ("rate limit"), and forgets about that wake-up until the running one
/// blocks or its slice of up to 10 ms is over (common/sched/credit2.c, is_preemptable() and
/// runq_tickle()). On a processor that is shared this is most of the time between a fault and its
/// repair. Other schedulers are left alone.
#pragma once

#include <cstdint>

#include "root/failure.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// Xen's own default weight is 256. A domain's credit lasts longer in proportion to its weight, so
/// one that works seldom is always ahead of those that compute all day.
inline constexpr std::uint16_t kUnikernelWeight = 2048;

/// Who wakes up and has more credit runs at once, on every processor of the default pool.
[[nodiscard]] Result<void> wake_at_once(const Xen& xen);
/// Gives a domain its weight. It is lost when the domain ends.
[[nodiscard]] Result<void> favour(const Xen& xen, DomId domid);

}  // namespace ppvmm::root

#include "root/scheduler.hpp"

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

constexpr std::uint32_t kDefaultPool = 0;

Result<void> is_credit2(const Xen& xen) {
  int scheduler = 0;
  if (xc_sched_id(xen.control(), &scheduler) != 0) return failed("ask which scheduler Xen uses");
  if (scheduler != XEN_SCHEDULER_CREDIT2) return refused("Xen's scheduler is not credit2");
  return {};
}

}  // namespace

Result<void> wake_at_once(const Xen& xen) {
  if (auto known = is_credit2(xen); !known) return known;
  xen_sysctl_credit2_schedule parameters{};
  if (xc_sched_credit2_params_get(xen.control(), kDefaultPool, &parameters) != 0) {
    return failed("read the scheduler's parameters");
  }
  parameters.ratelimit_us = 0;
  if (xc_sched_credit2_params_set(xen.control(), kDefaultPool, &parameters) != 0) {
    return failed("set the scheduler's parameters");
  }
  return {};
}

Result<void> favour(const Xen& xen, DomId domid) {
  xen_domctl_sched_credit2 share{.weight = kUnikernelWeight, .cap = 0};
  if (xc_sched_credit2_domain_set(xen.control(), domid, &share) != 0) {
    return failed("set the weight of domain " + std::to_string(domid));
  }
  return {};
}

}  // namespace ppvmm::root

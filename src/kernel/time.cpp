#include "kernel/time.hpp"

#include <atomic>

#include "abi/hypercall.hpp"
#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"

namespace ppvmm::kernel::time {
namespace {

std::uint64_t time_stamp_counter() {
  return __builtin_ia32_rdtsc();
}

__extension__ using Wide = unsigned __int128;

Nanoseconds latest = 0;
Nanoseconds armed = 0;
abi::Port timer_port = 0;

}  // namespace

Nanoseconds now() {
  // xen.h, struct vcpu_time_info: an odd version means that Xen is writing, a changed one that it
  // wrote while we read. The counter's distance from tsc_timestamp, shifted and multiplied as a
  // 32.32 fixed-point number, is what has passed since system_time.
  const auto& shared = *at<const volatile shared_info_t>(address_of(&ppvmm_shared_info[0]));
  const volatile vcpu_time_info_t& info = shared.vcpu_info[0].time;
  Nanoseconds result = 0;
  for (;;) {
    const std::uint32_t version = info.version;
    std::atomic_signal_fence(std::memory_order_acquire);
    std::uint64_t delta = time_stamp_counter() - info.tsc_timestamp;
    const int shift = info.tsc_shift;  // NOLINT(bugprone-signed-char-misuse): a number below zero
    delta = shift >= 0 ? delta << shift : delta >> -shift;
    const auto product = static_cast<Wide>(delta) * info.tsc_to_system_mul;
    result = info.system_time + static_cast<std::uint64_t>(product >> 32);
    std::atomic_signal_fence(std::memory_order_acquire);
    if ((version & 1) == 0 && version == info.version) break;
  }
  // A small step back is possible when Xen re-measures the counter's rate.
  if (result > latest) latest = result;
  return latest;
}

TimerQueue& timers() {
  static constinit TimerQueue queue;
  return queue;
}

void set_up() {
  // Xen ticks a PV vCPU at 100 Hz unless told not to; an idle service should cost nothing.
  if (abi::vcpu_op<void>(VCPUOP_stop_periodic_timer, nullptr) != 0) panic("periodic tick stays");
  const auto bound = events::bind_virq(VIRQ_TIMER);
  if (!bound) panic("timer interrupt cannot be bound");
  timer_port = *bound;
  // The loop looks at the queue on each turn; the event only ends its sleep.
  events::handle(
      timer_port, [](void*, abi::Port) {}, nullptr);
}

bool wake_at(Nanoseconds deadline) {
  (void)events::take(timer_port);
  events::mask(timer_port, false);
  vcpu_set_singleshot_timer_t request{};
  request.timeout_abs_ns = deadline;
  request.flags = VCPU_SSHOTTMR_future;
  const bool set = abi::vcpu_op(VCPUOP_set_singleshot_timer, &request) == 0;
  if (set) armed = deadline;
  return set;
}

Nanoseconds armed_until() {
  return armed;
}

void no_wake() {
  events::mask(timer_port, true);
}

abi::Port port() {
  return timer_port;
}

bool take_tick() {
  return events::take(timer_port);
}

}  // namespace ppvmm::kernel::time

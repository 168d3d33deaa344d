/// Time from Xen: the paravirtual clock and the timers on it.
#pragma once

#include "abi/xen.hpp"
#include "kernel/timers.hpp"

namespace ppvmm::kernel::time {

/// Xen system time: nanoseconds since the host booted, never going back. All domains share it, so
/// stamps of different unikernels and of root compare.
[[nodiscard]] Nanoseconds now();

inline constexpr Nanoseconds kMicrosecond = 1'000;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kSecond = 1'000'000'000;

/// The queue that the event loop drives; pass it to Timer.
[[nodiscard]] TimerQueue& timers();

// --- For the runtime itself.

/// Stops Xen's own periodic tick and binds the timer's virtual interrupt.
void set_up();
/// Asks Xen to wake the vCPU at `deadline`. False if that is in the past already. There is one such
/// deadline: the last one counts.
[[nodiscard]] bool wake_at(Nanoseconds deadline);
/// The last one asked for; it may be over.
[[nodiscard]] Nanoseconds armed_until();
/// What is armed shall not wake the vCPU, until wake_at() is called again.
void no_wake();
/// The port of the timer's interrupt.
[[nodiscard]] abi::Port port();
/// Takes the timer's event. False if there is none.
[[nodiscard]] bool take_tick();

}  // namespace ppvmm::kernel::time

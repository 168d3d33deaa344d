/// Contained code: a sub-component whose traps, panics and endless loops end it, and not the image.
///
/// `contain()` calls a function on a stack of its own. A trap or panic inside lands behind the
/// call, and so does a call that takes much longer than it may: nothing on the contained stack is
/// unwound, no destructor runs, and whatever the code was changing stays half changed. So contained
/// code works on memory that its owner can throw away as a whole, does not call back into the rest
/// of the image (it leaves what it has to say in a queue), opens and closes no ports, and its owner
/// makes a new one from what outlives it. Contained code may contain more, to kContainLevels: a
/// fault ends the innermost.
///
/// **Endless loops.** While contained code runs, one event is let through: a tick every kTickNs
/// (the first up to kFirstTickNs late). A call that has seen as many ticks in a row as its
/// patience, without a step() between them, ends; one that steps and does not end, after kLongest
/// times as many. Ticks and steps are counted rather than time, since on a busy host a call may
/// take long and be late, not hung.
///
/// What is *not* contained: wild writes into memory of others, a fault within the heap's own code
/// (it belongs to everybody), and an overflow of the contained stack, to which Xen itself answers
/// by ending the domain (root enters it again).
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "abi/vitals.hpp"
#include "kernel/fault.hpp"
#include "kernel/timers.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel {

inline constexpr std::size_t kContainLevels = 2;
inline constexpr Nanoseconds kTickNs = 2'000'000;
inline constexpr Nanoseconds kFirstTickNs = 4'000'000;
/// Ticks that a call may see. The default ends it 8 to 12 ms after its last step.
inline constexpr unsigned kPatience = 5;
inline constexpr unsigned kLongest = 20;

/// What ended contained code last.
struct ContainedFault {
  abi::FaultKind kind{};  ///< `hang`: it took too long; rip is where it was.
  std::uint32_t vector{};
  std::uint64_t rip{};
  std::uint64_t cr2{};
  std::uint64_t time_ns{};
  std::uint32_t depth{};  ///< Valid entries of `backtrace`.
  std::array<std::uint64_t, abi::kBacktraceDepth> backtrace{};
};

/// True if `code(context)` came back; false if it ended otherwise: last_contained_fault() says how,
/// and the log.
[[nodiscard]] bool contain(vitals::Component component, unsigned patience,
                           void (*code)(void* context), void* context);

/// The same for a callable, which takes its results out by reference.
template <typename Code>
[[nodiscard]] bool contain(vitals::Component component, unsigned patience, Code&& code) {
  using Plain = std::remove_reference_t<Code>;
  return contain(
      component, patience, [](void* context) { (*static_cast<Plain*>(context))(); }, &code);
}
template <typename Code>
[[nodiscard]] bool contain(vitals::Component component, Code&& code) {
  return contain(component, kPatience, std::forward<Code>(code));
}

/// Contained code got on with its work: a packet, a batch. Costs one addition.
void step();

[[nodiscard]] const ContainedFault& last_contained_fault();
/// Faults contained in this life.
[[nodiscard]] std::uint64_t contained_faults();

// --- For the runtime itself.

/// If contained code is running and this trap is its own: takes a note of it, and the caller lands.
[[nodiscard]] bool contain_trap(const Trap& trap);
/// Ends contained code from within.
[[noreturn]] void land_contained();

}  // namespace ppvmm::kernel

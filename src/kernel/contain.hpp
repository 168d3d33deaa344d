/// Contained code: a sub-component whose traps and panics end it, and not the image.
///
/// `contain()` calls a function on a stack of its own. A trap or panic inside lands behind the
/// call: nothing on the contained stack is unwound, no destructor runs, and whatever the code was
/// changing stays half changed. So contained code works on memory that its owner can throw away as
/// a whole, does not call back into the rest of the image (it leaves what it has to say in a
/// queue), and its owner makes a new one from what outlives it. What is *not* contained: wild
/// writes into memory of others, endless loops (root sees the silence), and an overflow of the
/// contained stack, to which Xen itself answers by ending the domain (root enters it again).
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "abi/vitals.hpp"
#include "kernel/fault.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel {

/// What ended contained code last.
struct ContainedFault {
  abi::FaultKind kind{};
  std::uint32_t vector{};
  std::uint64_t rip{};
  std::uint64_t cr2{};
  std::uint64_t time_ns{};
  std::uint32_t depth{};  ///< Valid entries of `backtrace`.
  std::array<std::uint64_t, abi::kBacktraceDepth> backtrace{};
};

/// True if `code(context)` came back; false if it ended otherwise: last_contained_fault() says how,
/// and the log. Not from within contained code.
[[nodiscard]] bool contain(vitals::Component component, void (*code)(void* context), void* context);

/// The same for a callable, which takes its results out by reference.
template <typename Code>
[[nodiscard]] bool contain(vitals::Component component, Code&& code) {
  using Plain = std::remove_reference_t<Code>;
  return contain(
      component, [](void* context) { (*static_cast<Plain*>(context))(); }, &code);
}

[[nodiscard]] const ContainedFault& last_contained_fault();
/// Faults contained in this life.
[[nodiscard]] std::uint64_t contained_faults();

// --- For the runtime itself.

/// If contained code is running and this trap is its own: takes a note of it, and the caller lands.
[[nodiscard]] bool contain_trap(const Trap& trap);
/// Ends contained code from within.
[[noreturn]] void land_contained();

}  // namespace ppvmm::kernel

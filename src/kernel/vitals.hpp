/// The unikernel's side of the vitals page (abi/vitals.hpp, docs/vitals.md).
#pragma once

#include <cstdint>
#include <string_view>

#include "abi/vitals.hpp"
#include "kernel/survivors.hpp"

namespace ppvmm::kernel::vitals {

/// The page itself. Fields other than those of the functions below belong to the runtime.
[[nodiscard]] abi::Vitals& page();

/// Names one sub-component with a progress counter; slot 0 is the runtime itself.
enum class Component : std::uint32_t { kernel = 0 };

/// Takes a progress slot. The same name gives the same slot again. Panics when all
/// kProgressSlots are taken: that is a mistake in the image, not a condition at run time.
[[nodiscard]] Component component(std::string_view name);

/// `done` pieces of work are finished. Costs one addition: call it freely.
inline void progress(Component which, std::uint64_t done = 1) {
  page().progress[static_cast<std::uint32_t>(which)].count += done;
}
/// How much work the component knows of and has not done.
inline void waiting(Component which, std::uint64_t items) {
  page().progress[static_cast<std::uint32_t>(which)].waiting = items;
}
/// Says which component runs now, for the fault record. Returns the one before.
inline Component enter(Component which) {
  const auto before = static_cast<Component>(page().component);
  page().component = static_cast<std::uint32_t>(which);
  return before;
}

/// Notes that this life has come so far. Costs one reading of the clock; too many are not kept.
void lap(std::string_view name);

/// The image serves from now on: stamps ready_ns and sets the state.
void ready();

/// Tells root something, without waiting for anybody. Numbers go on over rebirths.
void post(std::uint32_t kind, std::uint32_t subject, std::uint64_t value);

/// Carries a command of root's out and returns 0, or why not. Called from the event loop.
using CommandHandler = std::uint32_t (*)(void* context, const abi::Command& command);
/// Takes commands from now on. One that an earlier life left unanswered is carried out now.
void on_command(CommandHandler handler, void* context);
/// For the runtime: the supervisor port was notified.
void look_at_orders();

/// What outlives this incarnation.
[[nodiscard]] Survivors& survivors();

}  // namespace ppvmm::kernel::vitals

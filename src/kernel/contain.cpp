#include "kernel/contain.hpp"

#include <cstddef>
#include <utility>

#include "abi/xen.hpp"
#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"

extern "C" {
extern std::uint64_t ppvmm_contained;
int ppvmm_contain(void (*code)(void*), void* context, std::byte* stack);
[[noreturn]] void ppvmm_contain_land();
int ppvmm_tick(const std::uint64_t* frame, std::uint64_t frame_pointer);
}

namespace ppvmm::kernel {
namespace {

// start.S lets events in again after a tick by this offset in shared_info.
static_assert(offsetof(vcpu_info_t, evtchn_upcall_mask) == 1);

/// The next look at code that cannot be ended where it is.
constexpr Nanoseconds kLookAgainNs = 100'000;
/// So many times its patience, and code that cannot be ended takes the image with it.
constexpr unsigned kGiveUp = 2 * kLongest;

struct Patience {
  unsigned patience;
  unsigned ticks;  ///< Since the last step.
  unsigned all_ticks;
  Nanoseconds began_ns;  ///< Of the outermost level only.
};

std::array<Patience, kContainLevels> levels;
std::size_t depth = 0;  ///< Levels in use.
volatile std::uint64_t steps = 0;
std::uint64_t steps_seen = 0;
ContainedFault last;
std::uint64_t faults = 0;

StackRange stack_of(std::size_t level) {
  if (level == 0) {
    return {address_of(&ppvmm_contained_bottom[0]), address_of(&ppvmm_contained_stack[0])};
  }
  return {address_of(&ppvmm_inner_bottom[0]), address_of(&ppvmm_inner_stack[0])};
}

bool on_own_stack(std::uint64_t stack_pointer) {
  const StackRange stack = stack_of(depth - 1);
  return stack_pointer > stack.low && stack_pointer <= stack.high;
}

void begin_watch() {
  events::admit_only(time::port());
  const Nanoseconds now = time::now();
  levels[0].began_ns = now;
  if (time::armed_until() <= now || time::armed_until() > now + kFirstTickNs) {
    (void)time::wake_at(now + kFirstTickNs);
  }
}

void take_note(const Trap& trap) {
  last = {.kind = trap.kind, .vector = trap.vector, .rip = trap.rip, .cr2 = trap.cr2};
  last.time_ns = time::now();
  const std::uint64_t frame_pointer =
      trap.registers != nullptr ? (*trap.registers)[kFramePointer] : trap.frame_pointer;
  last.depth = walk_frames(frame_pointer, stack_of(depth - 1), address_of(&ppvmm_text_start[0]),
                           address_of(&ppvmm_text_end[0]), last.backtrace);
  ++faults;
}

/// A tick came while contained code ran. True if that code is to end now.
bool tick(const Trap& trap) {
  const bool stepped = std::exchange(steps_seen, steps) != steps;
  bool stuck = false;
  for (std::size_t i = 0; i < depth; ++i) {
    levels[i].ticks = stepped ? 0 : levels[i].ticks + 1;
    stuck = stuck || ++levels[i].all_ticks > kGiveUp * levels[i].patience;
  }
  if (stuck) die(trap);
  // The level outside took long, but what runs now did not: it is looked at again when it runs.
  const Patience& inner = levels[depth - 1];
  if (inner.ticks < inner.patience && inner.all_ticks < kLongest * inner.patience) return false;
  return !memory::busy() && on_own_stack(trap.rsp);
}

}  // namespace

bool contain(vitals::Component component, unsigned patience, void (*code)(void* context),
             void* context) {
  const std::size_t level = depth;
  if (level == kContainLevels) panic("contained code contains too much");
  const vitals::Component before = vitals::enter(component);
  // The time of what is contained within is not held against the level outside.
  const Patience before_within = level > 0 ? levels[level - 1] : Patience{};
  levels[level] = {.patience = patience, .ticks = 0, .all_ticks = 0, .began_ns = 0};
  depth = level + 1;
  if (level == 0) begin_watch();
  std::byte* const stack = at(stack_of(level).high);
  const bool came_back = ppvmm_contain(code, context, stack) == 0;
  depth = level;
  if (level == 0) {
    events::admit_all();
  } else {
    levels[level - 1] = before_within;
  }
  (void)vitals::enter(before);
  if (!came_back) {
    log(Level::error, "contained fault kind=", static_cast<std::uint32_t>(last.kind),
        " vector=", last.vector, " rip=", Hex{last.rip}, " cr2=", Hex{last.cr2}, " in component ",
        static_cast<std::uint32_t>(component), " after ",
        (last.time_ns - levels[0].began_ns) / time::kMicrosecond, " us");
  }
  return came_back;
}

void step() {
  steps = steps + 1;
}

const ContainedFault& last_contained_fault() {
  return last;
}

std::uint64_t contained_faults() {
  return faults;
}

bool contain_trap(const Trap& trap) {
  // A trap of the code outside cannot be: contained code runs to its end. But a stack pointer that
  // lies elsewhere belongs to nothing we could come back from, and a heap that is half changed is
  // nobody's own.
  if (ppvmm_contained == 0 || depth == 0 || !on_own_stack(trap.rsp) || memory::busy()) return false;
  take_note(trap);
  return true;
}

void land_contained() {
  ppvmm_contain_land();
}

}  // namespace ppvmm::kernel

/// From start.S, on the trap stack, with events masked: an event came while contained code ran.
/// `frame`: what Xen pushed (rcx, r11, rip, cs, rflags, rsp, ss). Not zero: the code ends.
int ppvmm_tick(const std::uint64_t* frame, std::uint64_t frame_pointer) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  events::take_upcall();
  if (!time::take_tick() || depth == 0) return 0;
  Trap trap{};
  trap.kind = abi::FaultKind::hang;
  trap.rip = frame[2];
  trap.rflags = frame[4];
  trap.rsp = frame[5];
  trap.frame_pointer = frame_pointer;
  trap.message = "contained code does not end";
  if (tick(trap)) {
    take_note(trap);
    return 1;
  }
  (void)time::wake_at(time::now() + (memory::busy() ? kLookAgainNs : kTickNs));
  return 0;
}

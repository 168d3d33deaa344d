#include "kernel/contain.hpp"

#include "kernel/console.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"

extern "C" {
extern std::uint64_t ppvmm_contained;
int ppvmm_contain(void (*code)(void*), void* context);
[[noreturn]] void ppvmm_contain_land();
}

namespace ppvmm::kernel {
namespace {

ContainedFault last;
std::uint64_t faults = 0;

StackRange contained_stack() {
  return {address_of(&ppvmm_contained_bottom[0]), address_of(&ppvmm_contained_stack[0])};
}

}  // namespace

bool contain(vitals::Component component, void (*code)(void* context), void* context) {
  if (ppvmm_contained != 0) panic("contained code contains more");
  const vitals::Component before = vitals::enter(component);
  const bool came_back = ppvmm_contain(code, context) == 0;
  (void)vitals::enter(before);
  if (!came_back) {
    log(Level::error, "contained fault kind=", static_cast<std::uint32_t>(last.kind),
        " vector=", last.vector, " rip=", Hex{last.rip}, " cr2=", Hex{last.cr2}, " in component ",
        static_cast<std::uint32_t>(component));
  }
  return came_back;
}

const ContainedFault& last_contained_fault() {
  return last;
}

std::uint64_t contained_faults() {
  return faults;
}

bool contain_trap(const Trap& trap) {
  const StackRange stack = contained_stack();
  // A trap of the code outside cannot be: contained code runs to its end. But a stack pointer that
  // lies elsewhere belongs to nothing we could come back from.
  if (ppvmm_contained == 0 || trap.rsp <= stack.low || trap.rsp > stack.high) return false;
  last = {.kind = trap.kind, .vector = trap.vector, .rip = trap.rip, .cr2 = trap.cr2};
  last.time_ns = time::now();
  const std::uint64_t frame_pointer =
      trap.registers != nullptr ? (*trap.registers)[kFramePointer] : trap.frame_pointer;
  last.depth = walk_frames(frame_pointer, stack, address_of(&ppvmm_text_start[0]),
                           address_of(&ppvmm_text_end[0]), last.backtrace);
  ++faults;
  return true;
}

void land_contained() {
  ppvmm_contain_land();
}

}  // namespace ppvmm::kernel

#include "kernel/fault.hpp"

#include <algorithm>
#include <atomic>

#include "abi/hypercall.hpp"
#include "kernel/console.hpp"
#include "kernel/contain.hpp"
#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel {
namespace {

/// How long an image waits at its end for a reader of its console; a test's verdict is worth more.
constexpr Nanoseconds kLastWords = time::kSecond;
constexpr Nanoseconds kVerdict = 20 * time::kSecond;

StackRange stack_of(std::uint64_t address) {
  const StackRange main{address_of(&ppvmm_main_bottom[0]), address_of(&ppvmm_main_stack[0])};
  const StackRange trap{address_of(&ppvmm_trap_guard[0]) + kPage, address_of(&ppvmm_trap_stack[0])};
  return address >= trap.low && address < trap.high ? trap : main;
}

[[noreturn]] void shut_down(unsigned reason) {
  for (;;)
    abi::sched_shutdown(reason);
}

}  // namespace

void die(const Trap& trap) {
  abi::Vitals& page = vitals::page();
  abi::Fault& fault = page.fault;
  fault.kind = abi::FaultKind::none;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  fault.component = page.component;
  fault.vector = trap.vector;
  fault.error_code = trap.error_code;
  fault.rip = trap.rip;
  fault.rsp = trap.rsp;
  fault.rflags = trap.rflags;
  fault.cr2 = trap.cr2;
  fault.registers = trap.registers != nullptr ? *trap.registers : SavedRegisters{};
  fault.time_ns = time::now();
  fault.incarnation = page.incarnation;
  const std::uint64_t frame_pointer =
      trap.registers != nullptr ? (*trap.registers)[kFramePointer] : trap.frame_pointer;
  fault.backtrace = {};
  fault.depth =
      walk_frames(frame_pointer, stack_of(frame_pointer), address_of(&ppvmm_text_start[0]),
                  address_of(&ppvmm_text_end[0]), fault.backtrace);
  fault.message = {};
  const std::size_t length = std::min(trap.message.size(), fault.message.size() - 1);
  std::copy_n(trap.message.begin(), length, fault.message.begin());
  std::atomic_signal_fence(std::memory_order_seq_cst);
  fault.kind = trap.kind;
  page.state = abi::LifeState::dead;
  // Root may have us running again before the next line; it knows all that the log would say.
  if (page.supervisor_port != 0) events::notify(page.supervisor_port);

  // A second trap finds the record of the first complete but for this line.
  if (trap.kind != abi::FaultKind::nested_trap) {
    log(Level::error, "fault kind=", static_cast<std::uint32_t>(trap.kind), " vector=", trap.vector,
        " error=", Hex{trap.error_code}, " rip=", Hex{trap.rip}, " rsp=", Hex{trap.rsp},
        " cr2=", Hex{trap.cr2}, " ", trap.message);
  }
  shut_down(SHUTDOWN_crash);
}

void panic(std::string_view message, abi::FaultKind kind) {
  Trap trap{};
  trap.kind = kind;
  trap.rip = reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
  trap.frame_pointer = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  trap.rsp = trap.frame_pointer;
  trap.message = message;
  if (contain_trap(trap)) land_contained();
  die(trap);
}

void power_off() {
  vitals::page().state = abi::LifeState::stopping;
  console::drain(kLastWords);
  shut_down(SHUTDOWN_poweroff);
}

void finish_test(std::string_view name, bool ok, std::string_view detail) {
  Text<console::kLongestLine> line("PPVMM-TEST {\"name\":\"", name, "\",\"ok\":", ok);
  if (!detail.empty()) line.add(',').add(detail);
  line.add('}');
  console::drain(kVerdict);
  (void)console::write_line(line.view());
  vitals::page().verdict = ok ? abi::Verdict::passed : abi::Verdict::failed;
  vitals::page().state = abi::LifeState::stopping;
  console::drain(kLastWords);
  shut_down(ok ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

}  // namespace ppvmm::kernel

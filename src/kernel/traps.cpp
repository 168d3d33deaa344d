#include "kernel/traps.hpp"

#include <array>

#include "abi/hypercall.hpp"
#include "kernel/console.hpp"
#include "kernel/contain.hpp"
#include "kernel/fault.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

extern "C" {
extern std::byte ppvmm_trap_stubs[];
extern std::uint64_t ppvmm_probe_armed;
int ppvmm_probe_read(std::uint64_t address);
int ppvmm_probe_write(std::uint64_t address, std::uint8_t value);
int ppvmm_probe_call(std::uint64_t address);
int ppvmm_trap(const ppvmm::kernel::SavedRegisters* registers, const std::uint64_t* frame,
               std::uint32_t vector, std::uint32_t depth);
}

namespace ppvmm::kernel {
namespace {

constexpr std::uint32_t kExceptions = 32;
constexpr std::uint32_t kFailsafe = 32;
constexpr std::size_t kStubBytes = 16;
constexpr std::uint32_t kPageFault = 14;
constexpr int kLandInProbe = 0;
constexpr int kEnterAgain = 1;
constexpr int kLandContained = 2;
/// Vectors for which the processor pushes an error code (Intel SDM vol. 3, table 6-1, and 21, #CP).
constexpr std::uint32_t kWithErrorCode =
    1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21;

// start.S cannot include sched.h.
static_assert(SCHEDOP_shutdown == 2 && SHUTDOWN_crash == 3);

}  // namespace

namespace traps {

void set_up() {
  std::array<trap_info_t, kExceptions + 1> table{};
  for (std::uint32_t vector = 0; vector < kExceptions; ++vector) {
    trap_info_t& entry = table[vector];
    entry.vector = static_cast<std::uint8_t>(vector);
    TI_SET_DPL(&entry, 3);  // the int instruction may raise it as well: a PV64 kernel is in ring 3
    TI_SET_IF(&entry, 1);   // keeps events masked
    entry.cs = FLAT_KERNEL_CS;
    entry.address = address_of(&ppvmm_trap_stubs[0]) + vector * kStubBytes;
  }
  if (abi::set_trap_table(table.data()) != 0) panic("trap table refused");
  const Address failsafe = address_of(&ppvmm_trap_stubs[0]) + kFailsafe * kStubBytes;
  if (abi::register_callback(CALLBACKTYPE_event, reinterpret_cast<Address>(&ppvmm_upcall)) != 0 ||
      abi::register_callback(CALLBACKTYPE_failsafe, failsafe, CALLBACKF_mask_events) != 0) {
    panic("callbacks refused");
  }
}

bool read_traps(std::uint64_t address) {
  return ppvmm_probe_read(address) != 0;
}
bool write_traps(std::uint64_t address, std::uint8_t value) {
  return ppvmm_probe_write(address, value) != 0;
}
bool call_traps(std::uint64_t address) {
  return ppvmm_probe_call(address) != 0;
}

}  // namespace traps
}  // namespace ppvmm::kernel

/// From start.S, on the trap stack. `frame` is what Xen pushed above rcx and r11. Returns 0 to land
/// in the armed probe, 1 to enter again, 2 to end contained code.
int ppvmm_trap(const ppvmm::kernel::SavedRegisters* registers, const std::uint64_t* frame,
               std::uint32_t vector, std::uint32_t depth) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  if (ppvmm_probe_armed != 0 && depth == 1) return kLandInProbe;

  Trap trap{};
  trap.registers = registers;
  trap.vector = vector;
  trap.kind = depth == 1 ? abi::FaultKind::trap : abi::FaultKind::nested_trap;
  if (vector == kFailsafe) {
    frame += 4;  // ds, es, fs, gs come first (arch-x86/xen.h, failsafe callback)
  } else if ((kWithErrorCode >> vector & 1) != 0) {
    trap.error_code = static_cast<std::uint32_t>(*frame++);
  }
  trap.rip = frame[0];
  // The first instruction of the re-entry point cannot fault. A trap there is one that Xen could
  // not deliver to the last incarnation, whose stack had overflowed, and still owed to this vCPU.
  if (trap.rip == reinterpret_cast<Address>(&ppvmm_reentry)) return kEnterAgain;
  trap.rflags = frame[2];
  trap.rsp = frame[3];
  if (vector == kPageFault) {
    const auto& shared = *at<const shared_info_t>(address_of(&ppvmm_shared_info[0]));
    trap.cr2 = shared.vcpu_info[0].arch.cr2;
  }
  if (depth == 1 && contain_trap(trap)) return kLandContained;
  die(trap);
}

/// Hypercalls of a 64-bit PV domain, typed.
///
/// A PV64 kernel enters Xen with `syscall`: number in rax, arguments in rdi, rsi, rdx, r10, r8;
/// rcx and r11 are lost, the result is in rax (xen.h and arch-x86/xen-x86_64.h, "Hypercall
/// interface"). We issue the instruction ourselves rather than through the hypercall page, so an
/// image's text stays equal to its file and can be hashed.
///
/// Results are Xen's: zero or positive on success, a negative errno otherwise.
#pragma once

#include <span>

#include "abi/xen.hpp"

namespace ppvmm::abi {

/// Raw hypercall. Unused arguments may be anything.
inline long hypercall(unsigned number, std::uint64_t a1 = 0, std::uint64_t a2 = 0,
                      std::uint64_t a3 = 0, std::uint64_t a4 = 0) {
  long result = static_cast<long>(number);
  register std::uint64_t r10 asm("r10") = a4;
  asm volatile("syscall"
               : "+a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10)
               :
               : "rcx", "r8", "r9", "r11", "memory");
  return result;
}

/// An address as a hypercall argument.
template <typename T>
std::uint64_t arg(T* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

// --- Processor ------------------------------------------------------------------------------

/// `table` ends with an all-zero entry. Entries add to or replace those registered before.
[[nodiscard]] inline long set_trap_table(const trap_info_t* table) {
  return hypercall(__HYPERVISOR_set_trap_table, arg(table));
}

[[nodiscard]] inline long register_callback(std::uint16_t type, std::uint64_t address,
                                            std::uint16_t flags = 0) {
  callback_register_t request{};
  request.type = type;
  request.flags = flags;
  request.address = address;
  return hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, arg(&request));
}

/// Base of FS (SEGBASE_FS), where the compiler finds the stack protector's canary.
[[nodiscard]] inline long set_segment_base(unsigned which, std::uint64_t base) {
  return hypercall(__HYPERVISOR_set_segment_base, which, base);
}

// --- Memory ---------------------------------------------------------------------------------

/// Applies all `updates`; a negative result is the error of the first that failed.
[[nodiscard]] inline long mmu_update(std::span<const mmu_update_t> updates) {
  return hypercall(__HYPERVISOR_mmu_update, arg(updates.data()), updates.size(), 0, DOMID_SELF);
}

/// Replaces the entry that maps `va` and drops it from the TLB.
[[nodiscard]] inline long update_va_mapping(std::uint64_t va, std::uint64_t entry) {
  return hypercall(__HYPERVISOR_update_va_mapping, va, entry, UVMF_INVLPG);
}

[[nodiscard]] inline long mmuext_op(mmuext_op_t& operation) {
  return hypercall(__HYPERVISOR_mmuext_op, arg(&operation), 1, 0, DOMID_SELF);
}

// --- Events, grants -------------------------------------------------------------------------

template <typename Op>
[[nodiscard]] long event_channel_op(unsigned command, Op& operation) {
  return hypercall(__HYPERVISOR_event_channel_op, command, arg(&operation));
}

/// `operations` each carry a status of their own, besides the result.
template <typename Op>
[[nodiscard]] long grant_table_op(unsigned command, std::span<Op> operations) {
  return hypercall(__HYPERVISOR_grant_table_op, command, arg(operations.data()), operations.size());
}

// --- Time, scheduling -----------------------------------------------------------------------

/// Gives the vCPU back until an event is pending. Unmasks event upcalls, and leaves them so unless
/// one was delivered.
inline void sched_block() {
  (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
}

inline void sched_yield() {
  (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

/// Ends the domain with a SHUTDOWN_* reason. Comes back only if the toolstack resumes it as it was.
inline void sched_shutdown(unsigned reason) {
  sched_shutdown_t request{};
  request.reason = reason;
  (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, arg(&request));
}

template <typename Op>
[[nodiscard]] long vcpu_op(unsigned command, Op* operation) {
  return hypercall(__HYPERVISOR_vcpu_op, command, 0, arg(operation));
}

/// Xen's version, major in the upper 16 bits, minor in the lower.
[[nodiscard]] inline long xen_version() {
  return hypercall(__HYPERVISOR_xen_version, XENVER_version, 0);
}

}  // namespace ppvmm::abi

/// Exceptions: all are the end of an incarnation, except where a probe expects one, and in
/// contained code (contain.hpp).
///
/// Each vector 0..31 and Xen's failsafe callback has a stub (start.S) that moves to a stack of the
/// runtime's own in its first instructions. Xen pushes its frame on the stack in use first, so the
/// one fault that cannot be handled inside is one whose stack cannot take that frame: Xen then
/// crashes the domain and root makes the record from the vCPU's registers (docs/vitals.md).
#pragma once

#include <cstdint>

namespace ppvmm::kernel::traps {

/// Registers all handlers. Nothing before this may fault.
void set_up();

/// One access that may fault: true if it trapped. Only one at a time, and not from a trap.
[[nodiscard]] bool read_traps(std::uint64_t address);
/// Writes the byte that `value` is.
[[nodiscard]] bool write_traps(std::uint64_t address, std::uint8_t value);
/// Calls the address as a function without arguments.
[[nodiscard]] bool call_traps(std::uint64_t address);

}  // namespace ppvmm::kernel::traps

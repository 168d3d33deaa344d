/// The fault record: what an incarnation leaves behind when it dies. For the runtime itself.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "abi/vitals.hpp"

namespace ppvmm::kernel {

/// As start.S pushes them: rax rbx rcx rdx rsi rdi rbp r8 .. r15.
using SavedRegisters = std::array<std::uint64_t, 15>;
inline constexpr std::size_t kFramePointer = 6;  ///< Index of rbp.

struct Trap {
  const SavedRegisters* registers;  ///< Null: none saved (a panic).
  abi::FaultKind kind;
  std::uint32_t vector;
  std::uint32_t error_code;
  std::uint64_t rip;
  std::uint64_t rsp;
  std::uint64_t rflags;
  std::uint64_t cr2;
  std::uint64_t frame_pointer;  ///< For the backtrace if there are no registers.
  std::string_view message;
};

/// Fills the record, logs it in one line, wakes root, ends in SCHEDOP_shutdown(crash).
[[noreturn]] void die(const Trap& trap);

/// A stack that a backtrace may walk: [low, high).
struct StackRange {
  std::uint64_t low;
  std::uint64_t high;
};

/// Follows frame pointers from `frame_pointer` while they stay in `stack` and rise; writes return
/// addresses that lie in [text_low, text_high). Pure: reads nothing outside `stack`.
std::uint32_t walk_frames(std::uint64_t frame_pointer, StackRange stack, std::uint64_t text_low,
                          std::uint64_t text_high,
                          std::array<std::uint64_t, abi::kBacktraceDepth>& out);

}  // namespace ppvmm::kernel

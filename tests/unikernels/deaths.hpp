/// Ways to die, for images that are killed on purpose. None of them returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ppvmm::test {

using Function = void (*)();

/// An invalid instruction.
[[noreturn]] inline void die_by_trap() {
  asm volatile("ud2");
  __builtin_unreachable();
}

[[noreturn]] inline void die_by_null_call() {
  // Through a volatile, or the compiler would see the null pointer and do as it likes.
  volatile Function nowhere = nullptr;
  nowhere();
  __builtin_unreachable();
}

/// A jump to an address outside everything, with a stack pointer that is still good.
[[noreturn]] inline void die_by_wild_jump() {
  constexpr std::uint64_t kWild = 0x00005EADBEEF0000;
  asm volatile("jmp *%0" : : "r"(kWild));
  __builtin_unreachable();
}

/// Recursion until the guard page. Each frame is used after the inner call, so it stays one.
[[gnu::noinline]] inline std::uint64_t recurse(std::uint64_t depth) {
  volatile std::byte room[512];
  room[depth % sizeof(room)] = std::byte{1};
  if (depth == ~std::uint64_t{0}) return 0;
  return recurse(depth + 1) + std::to_integer<std::uint64_t>(room[depth % sizeof(room)]);
}
[[noreturn]] inline void die_by_stack_overflow() {
  volatile std::uint64_t sink = recurse(0);
  (void)sink;
  __builtin_unreachable();
}

[[noreturn]] inline void die_by_hang() {
  for (;;)
    asm volatile("");
}

/// A loop that copies past a protected array; the canary is found broken on return.
[[gnu::noinline]] inline void smash_stack() {
  volatile char room[16];
  volatile char* place = room;
  // 64 bytes cover the canary and the saved frame pointer, not the frames above.
  for (std::size_t i = 0; i < 40; ++i)
    place[i] = 'x';
}

}  // namespace ppvmm::test

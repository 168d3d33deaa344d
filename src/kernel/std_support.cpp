/// What the standard library's headers and the compiler expect of a C library and of a C++ runtime,
/// and a unikernel lacks: provided here and nowhere else.
///
/// Not here: operator new and delete (memory.cpp), the memory and string functions (string.cpp),
/// and the platform-free parts that come from libstdc++.a and libgcc.a as they are (red-black tree,
/// hash primes, 128-bit division).
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/panic.hpp"

using ppvmm::kernel::panic;

// --- Preconditions that the library reports by throwing: here they end the incarnation.
// ------------

namespace std {

[[noreturn]] void __throw_bad_alloc();
[[noreturn]] void __throw_bad_array_new_length();
[[noreturn]] void __throw_bad_function_call();
[[noreturn]] void __throw_bad_optional_access();
[[noreturn]] void __throw_bad_variant_access(unsigned);
[[noreturn]] void __throw_length_error(const char* what);
[[noreturn]] void __throw_logic_error(const char* what);
[[noreturn]] void __throw_invalid_argument(const char* what);
[[noreturn]] void __throw_out_of_range(const char* what);
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...);
[[noreturn]] void __throw_runtime_error(const char* what);
[[noreturn]] void __throw_system_error(int code);
[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char* function,
                                        const char* condition) noexcept;
[[noreturn]] void terminate() noexcept;

void __throw_bad_alloc() {
  panic("std: bad_alloc", ppvmm::abi::FaultKind::out_of_memory);
}
void __throw_bad_array_new_length() {
  panic("std: bad_array_new_length", ppvmm::abi::FaultKind::out_of_memory);
}
void __throw_bad_function_call() {
  panic("std: empty function called");
}
void __throw_bad_optional_access() {
  panic("std: empty optional read");
}
void __throw_bad_variant_access(unsigned) {
  panic("std: wrong alternative of a variant");
}
void __throw_length_error(const char* what) {
  panic(what);
}
void __throw_logic_error(const char* what) {
  panic(what);
}
void __throw_invalid_argument(const char* what) {
  panic(what);
}
void __throw_out_of_range(const char* what) {
  panic(what);
}
void __throw_out_of_range_fmt(const char* what, ...) {
  panic(what);
}
void __throw_runtime_error(const char* what) {
  panic(what);
}
void __throw_system_error(int) {
  panic("std: system_error");
}
void __glibcxx_assert_fail(const char*, int, const char*, const char* condition) noexcept {
  panic(condition != nullptr ? condition : "std: assertion");
}
void terminate() noexcept {
  panic("std::terminate");
}

}  // namespace std

// --- The C++ ABI (Itanium), as far as code without exceptions calls it.
// ----------------------------

extern "C" {

void* __dso_handle = nullptr;

[[noreturn]] void abort();
[[noreturn]] void __cxa_pure_virtual();
int __cxa_atexit(void (*destructor)(void*), void* object, void* dso);
int __cxa_guard_acquire(std::uint64_t* guard);
void __cxa_guard_release(std::uint64_t* guard);
void __cxa_guard_abort(std::uint64_t* guard);

void abort() {
  panic("abort");
}
void __cxa_pure_virtual() {
  panic("pure virtual function called");
}

/// A unikernel never exits, it ends: destructors of static objects do not run.
int __cxa_atexit(void (*)(void*), void*, void*) {
  return 0;
}

// Function-local statics. One thread, so a guard is a flag (its first byte says "initialised").
int __cxa_guard_acquire(std::uint64_t* guard) {
  return *guard == 0 ? 1 : 0;
}
void __cxa_guard_release(std::uint64_t* guard) {
  *guard = 1;
}
void __cxa_guard_abort(std::uint64_t*) {}

}  // extern "C"

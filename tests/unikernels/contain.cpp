/// Contained code may trap, panic, run out of memory or jump into nowhere, any number of times; the
/// code around it goes on, with its registers and its stack as they were.
#include "kernel/contain.hpp"

#include <array>
#include <memory>

#include "abi/hypercall.hpp"
#include "checks.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"

namespace {

using namespace ppvmm;

volatile std::uint64_t* const nowhere = kernel::at<volatile std::uint64_t>(0x7777'7777'0000);

[[gnu::noinline]] std::uint64_t deep(std::uint64_t depth) {
  std::array<volatile std::uint64_t, 16> room{};
  room[depth % 16] = depth;
  if (depth == 0) {
    *nowhere = 1;
    return 0;
  }
  return deep(depth - 1) + room[depth % 16];
}

/// Loops end, wherever they are; work that takes long and ends does not.
void endless_loops(test::Checks& checks, kernel::vitals::Component component) {
  volatile std::uint64_t turns = 0;
  for (int round = 0; round < 3; ++round) {
    const auto begin = kernel::time::now();
    checks.expect(!kernel::contain(component,
                                   [&] {
                                     for (;;)
                                       turns = turns + 1;
                                   }),
                  "an endless loop is ended");
    const auto took = kernel::time::now() - begin;
    checks.expect(kernel::last_contained_fault().kind == abi::FaultKind::hang, "as a hang");
    checks.expect(took >= 2 * kernel::kTickNs, "not too early");
    checks.note("loop ended after us", took / kernel::time::kMicrosecond);
  }
  // One that calls the heap and Xen all the time must be ended between them.
  checks.expect(!kernel::contain(component,
                                 [&] {
                                   for (;;) {
                                     delete[] new char[100];
                                     (void)abi::xen_version();
                                   }
                                 }),
                "so is one that is mostly elsewhere");
  const std::unique_ptr<char[]> heap_works(new char[100]);
  // Registers and flags are as they were after each tick.
  const auto end = kernel::time::now() + 20 * kernel::time::kMillisecond;
  std::uint64_t sum = 0;
  std::uint64_t count = 0;
  double half = 0;
  checks.expect(kernel::contain(component, 1000,
                                [&] {
                                  while (kernel::time::now() < end) {
                                    for (std::uint64_t i = 0; i < 1000; ++i) {
                                      sum += i * 3 + 1;
                                      half += 0.5;
                                    }
                                    ++count;
                                  }
                                }),
                "patience is what the caller says");
  checks.expect(sum == count * (3 * 499'500 + 1000), "ticks do not disturb numbers");
  checks.expect(half == static_cast<double>(count) * 500, "nor floating point");
}

/// Contained code within contained code.
void levels(test::Checks& checks, kernel::vitals::Component component) {
  bool inner = true;
  bool reached = false;
  checks.expect(kernel::contain(component,
                                [&] {
                                  inner = kernel::contain(component, [] { *nowhere = 1; });
                                  reached = true;
                                }) &&
                    !inner && reached,
                "a fault ends the innermost level");
  inner = true;
  checks.expect(kernel::contain(component,
                                [&] {
                                  inner = kernel::contain(component, [] {
                                    for (;;)
                                      __builtin_ia32_pause();
                                  });
                                }) &&
                    !inner,
                "so does a loop");
  checks.expect(!kernel::contain(component,
                                 [&] {
                                   for (;;)
                                     inner = kernel::contain(component, [] {});
                                 }) &&
                    inner,
                "a loop outside ends, though it calls what comes back");
  checks.expect(!kernel::contain(component,
                                 [&] {
                                   (void)kernel::contain(component, [] { *nowhere = 1; });
                                   *nowhere = 1;
                                 }),
                "after that the level outside can still fault");
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  test::Checks checks("contain");
  const auto component = kernel::vitals::component("contained");
  kernel::vitals::ready();
  checks.expect(!start.reborn, "the image itself never dies");

  std::uint64_t result = 0;
  checks.expect(kernel::contain(component, [&] { result = 42; }) && result == 42,
                "code that comes back has done its work");
  checks.expect(kernel::contained_faults() == 0, "and is no fault");

  checks.expect(!kernel::contain(component, [] { *nowhere = 1; }), "a wild write is contained");
  checks.expect(kernel::last_contained_fault().vector == 14 &&
                    kernel::last_contained_fault().cr2 == kernel::address_of(nowhere),
                "with its address");
  checks.expect(!kernel::contain(component, [] { __builtin_trap(); }), "ud2 is contained");
  checks.expect(kernel::last_contained_fault().vector == 6, "as what it is");
  checks.expect(!kernel::contain(component, [] { kernel::panic("on purpose"); }),
                "a panic is contained");
  checks.expect(kernel::last_contained_fault().kind == abi::FaultKind::panic, "as a panic");
  checks.expect(!kernel::contain(component,
                                 [] {
                                   auto* const wild = reinterpret_cast<void (*)()>(0x1000);
                                   wild();
                                 }),
                "a wild jump is contained");
  checks.expect(!kernel::contain(component, [&] { result = deep(100); }),
                "so is a trap far down the stack");
  checks.expect(kernel::last_contained_fault().depth > 10, "with its backtrace");

  endless_loops(checks, component);
  levels(checks, component);

  std::uint64_t landed = 0;
  for (int round = 0; round < 1000; ++round) {
    if (!kernel::contain(component, [&] { result = deep(static_cast<std::uint64_t>(round % 40)); }))
      ++landed;
  }
  checks.expect(landed == 1000, "a thousand times");
  checks.expect(kernel::contain(component, [&] { result = 7; }) && result == 7,
                "and it still works");
  checks.note("faults", kernel::contained_faults());
  checks.finish();
}

/// Contained code may trap, panic, run out of memory or jump into nowhere, any number of times; the
/// code around it goes on, with its registers and its stack as they were.
#include "kernel/contain.hpp"

#include <array>

#include "checks.hpp"
#include "kernel/layout.hpp"
#include "kernel/start.hpp"

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

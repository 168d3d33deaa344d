/// A smashed stack is found by the canary before the function returns; canaries change from life to
/// life.
#include "checks.hpp"
#include "deaths.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

namespace {

std::uint64_t canary() {
  std::uint64_t value = 0;
  asm volatile("movq %%fs:0x28, %0" : "=r"(value));
  return value;
}

}  // namespace

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  constexpr std::uint32_t kTag = 1;
  test::Checks checks("canary");
  vitals::ready();
  if (!start.reborn) {
    const bool kept = vitals::survivors().add({.kind = abi::SurvivorKind::value,
                                               .domid = 0,
                                               .tag = kTag,
                                               .id = 0,
                                               .peer = 0,
                                               .where = canary(),
                                               .sum = 0});
    checks.expect(kept, "the first canary is kept");
    test::smash_stack();
    checks.expect(false, "a smashed stack went unnoticed");
    checks.finish();
  }
  const abi::Fault& fault = vitals::page().fault;
  checks.expect(fault.kind == abi::FaultKind::stack_smashed, "the fault record names the kind");
  const auto before = vitals::survivors().find(abi::SurvivorKind::value, kTag);
  checks.expect(before && before->where != canary(), "the canary is a new one");
  checks.finish();
}

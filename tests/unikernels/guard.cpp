/// Stack overflow: the guard page stops it before it reaches anything, and the next life finds all
/// as it should be. Xen cannot push a trap frame on the overflown stack and crashes the domain;
/// root re-enters it all the same.
#include "checks.hpp"
#include "deaths.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  constexpr std::uint32_t kTag = 1;
  constexpr std::uint64_t kPattern = 0x5AFE5AFE5AFE5AFE;
  test::Checks checks("guard");
  if (!start.reborn) {
    std::byte* const page = memory::take_pages(1);
    if (!checks.expect(page != nullptr && memory::survive(page, kTag), "a page is kept")) {
      checks.finish();
    }
    *reinterpret_cast<std::uint64_t*>(page) = kPattern;
    vitals::ready();
    test::die_by_stack_overflow();
  }
  vitals::ready();
  const std::byte* const page = memory::survived(kTag);
  checks.expect(start.incarnation == 2, "it is the second life");
  checks.expect(page != nullptr && *reinterpret_cast<const std::uint64_t*>(page) == kPattern,
                "the page survives");
  checks.expect(vitals::survivors().verify().good(), "the survivors are whole");
  checks.finish();
}

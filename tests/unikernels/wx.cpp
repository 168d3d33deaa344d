/// Write xor execute, everywhere: text, constants, data, heap, stack, foreign pages.
#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/paging.hpp"
#include "kernel/start.hpp"
#include "kernel/traps.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;

constexpr std::byte kReturn{0xC3};  ///< A return instruction: harmless where it can be executed.
std::byte data_page[64]{kReturn};
const std::byte constant[64]{kReturn};

bool writable_or_executable(ppvmm::test::Checks& checks) {
  std::uint64_t wrong = 0;
  std::uint64_t mapped = 0;
  const std::uint64_t pages = vitals::page().origin.nr_pages;
  for (std::uint64_t frame = 0; frame < pages; ++frame) {
    const std::uint64_t entry = paging::entry_of(frame_address(frame));
    if ((entry & paging::kPresent) == 0) continue;
    ++mapped;
    const bool executable = (entry & paging::kNoExecute) == 0;
    const bool in_text = frame_address(frame) >= address_of(&ppvmm_text_start[0]) &&
                         frame_address(frame) < address_of(&ppvmm_text_end[0]);
    if (executable != in_text || (executable && (entry & paging::kWritable) != 0)) ++wrong;
  }
  checks.note("mapped", mapped);
  checks.expect(mapped + 6 == pages, "all memory but six guard pages is mapped");
  return wrong == 0;
}

}  // namespace

void ppvmm_main(const Start&) {
  ppvmm::test::Checks checks("wx");
  vitals::ready();
  checks.expect(traps::write_traps(reinterpret_cast<Address>(&ppvmm_main), 0), "text is read-only");
  checks.expect(traps::write_traps(address_of(&constant[0]), 0), "constants are read-only");
  checks.expect(traps::call_traps(address_of(&constant[0])), "constants do not execute");
  checks.expect(traps::call_traps(address_of(&data_page[0])), "data does not execute");
  std::byte on_stack[16]{kReturn};
  asm volatile("" : : "r"(&on_stack[0]) : "memory");
  checks.expect(traps::call_traps(address_of(&on_stack[0])), "the stack does not execute");
  std::byte* const heap = memory::take_pages(1);
  heap[0] = kReturn;
  checks.expect(traps::call_traps(address_of(heap)), "the heap does not execute");

  const events::DomId self = events::own_domain();
  const auto ref = grants::grant(self, heap, grants::Access::read_only);
  if (checks.expect(ref.has_value(), "a page can be granted")) {
    auto mapping = grants::map(self, *ref, grants::Access::read_only);
    if (checks.expect(mapping.has_value(), "and mapped")) {
      checks.expect(!traps::read_traps(address_of(mapping->data())), "a mapping can be read");
      checks.expect(traps::write_traps(address_of(mapping->data()), 0),
                    "a read-only mapping is read-only");
      checks.expect(traps::call_traps(address_of(mapping->data())), "a mapping does not execute");
    }
  }
  checks.expect(traps::write_traps(vitals::page().origin.page_tables_va, 0),
                "page tables are read-only");
  checks.expect(writable_or_executable(checks), "no page is writable and executable");
  checks.finish();
}

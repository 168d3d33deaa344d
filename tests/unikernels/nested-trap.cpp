/// A trap inside the trap handler: the first life takes away the console ring that the handler logs
/// to, then traps. The second trap is handled on a stack of its own and leaves its own record.
#include "abi/hypercall.hpp"
#include "checks.hpp"
#include "deaths.hpp"
#include "kernel/layout.hpp"
#include "kernel/paging.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  const abi::Vitals& page = vitals::page();
  const Address ring = frame_address(paging::pseudo_frame(page.origin.console_mfn));
  vitals::ready();
  if (!start.reborn) {
    if (abi::update_va_mapping(ring, 0) != 0) panic("the ring stays mapped");
    test::die_by_trap();
  }
  paging::restore_page(ring);
  test::Checks checks("nested-trap");
  constexpr std::uint32_t kPageFault = 14;
  checks.expect(page.fault.kind == abi::FaultKind::nested_trap, "the record names the kind");
  checks.expect(page.fault.vector == kPageFault, "and the second trap");
  checks.expect(page.fault.cr2 >= ring && page.fault.cr2 < ring + kPage, "and its address");
  checks.expect(page.fault.rsp > address_of(&ppvmm_trap_guard[0]) &&
                    page.fault.rsp < address_of(&ppvmm_trap_stack[0]),
                "which came up on the first trap's stack");
  checks.finish();
}

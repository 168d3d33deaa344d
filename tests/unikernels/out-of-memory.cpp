/// Plain new without memory: the incarnation ends with its own kind of fault, the next one begins
/// with an empty heap.
#include <array>

#include "checks.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  struct Link {
    Link* next;
    std::array<std::byte, 4000> room;
  };
  vitals::ready();
  if (!start.reborn) {
    Link* chain = nullptr;
    for (;;) {
      chain = new Link{chain, {}};
      asm volatile("" : : "r"(chain) : "memory");  // or the compiler would leave it out
    }
  }
  test::Checks checks("out-of-memory");
  const abi::Fault& fault = vitals::page().fault;
  checks.expect(fault.kind == abi::FaultKind::out_of_memory, "the fault record names the kind");
  checks.expect(fault.incarnation == 1, "the fault is the first life's");
  checks.expect(fault.depth > 0, "there is a backtrace");
  const auto heap = memory::statistics();
  checks.expect(heap.available > heap.total / 2, "the heap is empty again");
  checks.finish();
}

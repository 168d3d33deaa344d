/// The smallest image: it starts, says so, and ends.
#include "kernel/console.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm::kernel;
  log(Level::info, "hello, ", start.memory_pages, " pages, command line '", start.command_line,
      "'");
  vitals::ready();
  finish_test("hello", !start.reborn && start.incarnation == 1);
}

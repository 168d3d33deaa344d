/// The unikernel's own scheduler, tied to the vitals page.
#include "kernel/task.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::task {

Scheduler& scheduler() {
  static Scheduler instance{[](std::uint32_t component, bool begins) {
    const auto which = static_cast<vitals::Component>(component);
    if (begins) {
      vitals::enter(which);
    } else {
      vitals::enter(vitals::Component::kernel);
      vitals::progress(which);
    }
  }};
  return instance;
}

bool run_ready() {
  return scheduler().run() > 0;
}

}  // namespace ppvmm::kernel::task

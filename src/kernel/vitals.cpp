#include "kernel/vitals.hpp"

#include <algorithm>

#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"

namespace ppvmm::kernel::vitals {

abi::Vitals& page() {
  return ppvmm_vitals.page;
}

Survivors& survivors() {
  static constinit Survivors table{ppvmm_vitals};
  return table;
}

Component component(std::string_view name) {
  auto& slots = page().progress;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    auto& slot = slots[i];
    if (slot.name.front() != '\0' && std::string_view(slot.name.data()) == name)
      return Component{i};
    if (slot.name.front() == '\0') {
      const std::size_t length = std::min(name.size(), slot.name.size() - 1);
      std::copy_n(name.begin(), length, slot.name.begin());
      return Component{i};
    }
  }
  panic("more sub-components than progress slots");
}

void ready() {
  page().ready_ns = time::now();
  page().state = abi::LifeState::ready;
  // Root need not look again and again: who waits for us hears of it.
  if (page().supervisor_port != 0) events::notify(page().supervisor_port);
}

}  // namespace ppvmm::kernel::vitals

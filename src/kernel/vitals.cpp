#include "kernel/vitals.hpp"

#include <algorithm>

#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"

namespace ppvmm::kernel::vitals {
namespace {

CommandHandler command_handler = nullptr;
void* command_context = nullptr;

void wake_root() {
  if (page().supervisor_port != 0) events::notify(page().supervisor_port);
}

}  // namespace

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

void lap(std::string_view name) {
  for (abi::Lap& one : page().laps) {
    if (one.name.front() != '\0') continue;
    std::copy_n(name.begin(), std::min(name.size(), one.name.size()), one.name.begin());
    one.time_ns = time::now();
    return;
  }
}

void ready() {
  page().ready_ns = time::now();
  page().state = abi::LifeState::ready;
  // Root need not look again and again: who waits for us hears of it.
  wake_root();
}

void post(std::uint32_t kind, std::uint32_t subject, std::uint64_t value) {
  const std::uint64_t number = page().notices_posted + 1;
  abi::Notice& notice = page().notices[number % abi::kNotices];
  // A reader that sees the number of the one before must not see half of this one.
  __atomic_store_n(&notice.number, 0, __ATOMIC_RELEASE);
  notice.time_ns = time::now();
  notice.kind = kind;
  notice.subject = subject;
  notice.value = value;
  __atomic_store_n(&notice.number, number, __ATOMIC_RELEASE);
  __atomic_store_n(&page().notices_posted, number, __ATOMIC_RELEASE);
  wake_root();
}

void on_command(CommandHandler handler, void* context) {
  command_handler = handler;
  command_context = context;
  look_at_orders();
}

void look_at_orders() {
  page().pong = page().orders.ping;
  const std::uint32_t serial = __atomic_load_n(&page().command.serial, __ATOMIC_ACQUIRE);
  if (command_handler == nullptr || serial == page().command_done) return;
  const abi::Command command = page().command;
  page().command_result = command_handler(command_context, command);
  __atomic_store_n(&page().command_done, serial, __ATOMIC_RELEASE);
  wake_root();
}

}  // namespace ppvmm::kernel::vitals

#include "uk/net/root_link.hpp"

#include <array>
#include <string_view>

#include "abi/hypercall.hpp"
#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"
#include "uk/net/backend.hpp"
#include "uk/net/orders.hpp"
#include "uk/net/plumbing.hpp"
#include "uk/net/wire.hpp"

namespace ppvmm::netuk {
namespace {

using abi::net_uk::Command;
using abi::net_uk::Notice;
using abi::net_uk::Part;
using abi::net_uk::Result;
using abi::net_uk::Trouble;

/// Root writes the words before it lets a life begin, and may change them in the middle of one:
/// they are read where they matter, never kept.
bool has_word(std::string_view word) {
  const auto& field = kernel::vitals::page().orders.words;
  std::string_view words(field.data(), field.size());
  words = words.substr(0, words.find('\0'));
  while (!words.empty()) {
    const std::size_t end = words.find(' ');
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
  }
  return false;
}

void tell(Notice notice, std::uint32_t subject, std::uint64_t value) {
  kernel::vitals::post(static_cast<std::uint32_t>(notice), subject, value);
}

}  // namespace

bool coarse() {
  return has_word(abi::net_uk::kCoarse);
}

bool loses_unanswered() {
  return has_word(abi::net_uk::kLoseUnanswered);
}

void tell_repaired(Part part, Trouble trouble, kernel::Nanoseconds took) {
  tell(Notice::part_repaired, abi::net_uk::subject_of(part, trouble), took);
}

void tell_down(Part part, Trouble trouble, std::uint64_t held) {
  tell(Notice::part_down, abi::net_uk::subject_of(part, trouble), held);
}

void tell_vif(Notice notice, abi::DomId domid, std::uint16_t handle, std::uint64_t value) {
  tell(notice, domid | std::uint32_t{handle} << 16, value);
}

void ask_for_a_new_domain(std::string_view why) {
  kernel::log(kernel::Level::error, "net_uk: ", why, ": only a new domain can go on");
  kernel::vitals::page().state = abi::LifeState::lost;
  if (const auto port = kernel::vitals::page().supervisor_port; port != 0) {
    kernel::events::notify(port);
  }
  for (;;)
    abi::sched_shutdown(SHUTDOWN_crash);
}

RootCommands::RootCommands(Plumbing& plumbing, Wire& wire, Backend& backend)
    : plumbing_(&plumbing), wire_(&wire), backend_(&backend) {
  kernel::vitals::on_command(&RootCommands::on_command, this);
}

std::uint32_t RootCommands::on_command(void* self, const abi::Command& command) {
  return static_cast<std::uint32_t>(static_cast<RootCommands*>(self)->obey(command));
}

Result RootCommands::obey(const abi::Command& command) {
  switch (static_cast<Command>(command.kind)) {
    case Command::none:
      return Result::done;
    case Command::take_over:
      kernel::log(kernel::Level::warning, "net_uk: takes over from domain ", command.subject);
      backend_->look_again();
      return Result::done;
    case Command::repair_part:
      return repair(command.subject);
    case Command::statistics:
      log_statistics(*plumbing_);
      return Result::done;
  }
  return Result::unknown;
}

Result RootCommands::repair(std::uint64_t part) {
  if (part == static_cast<std::uint64_t>(Part::driver) && wire_->restart_driver()) {
    return Result::done;
  }
  if (part == static_cast<std::uint64_t>(Part::netback)) {
    plumbing_->restart_netback();
    return Result::done;
  }
  return Result::no_such_part;
}

}  // namespace ppvmm::netuk

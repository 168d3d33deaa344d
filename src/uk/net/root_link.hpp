/// What net_uk and root say to each other (abi/net_uk.hpp): the words of root's policy, its
/// commands, and what root is told of repairs that it need not make.
#pragma once

#include <cstdint>
#include <string_view>

#include "abi/net_uk.hpp"
#include "abi/vitals.hpp"
#include "abi/xen.hpp"
#include "kernel/time.hpp"

namespace ppvmm::netuk {

class Backend;
class Plumbing;
class Wire;

/// Root's policy: a fault of a part ends the whole.
[[nodiscard]] bool coarse();
/// Root's policy: what the last life left unanswered is answered as dropped.
[[nodiscard]] bool loses_unanswered();

/// A part failed and works again.
void tell_repaired(abi::net_uk::Part part, abi::net_uk::Trouble trouble, kernel::Nanoseconds took);
/// A part failed and will be tried again; so many frames wait for it.
void tell_down(abi::net_uk::Part part, abi::net_uk::Trouble trouble, std::uint64_t held);
void tell_vif(abi::net_uk::Notice notice, abi::DomId domid, std::uint16_t handle,
              std::uint64_t value);

/// Ends this domain: no life of it can go on, so root is to build a new one at once instead of
/// entering this one again (abi::LifeState::lost).
[[noreturn]] void ask_for_a_new_domain(std::string_view why);

/// Carries root's commands out, from the event loop.
class RootCommands {
 public:
  RootCommands(Plumbing& plumbing, Wire& wire, Backend& backend);
  RootCommands(const RootCommands&) = delete;
  RootCommands& operator=(const RootCommands&) = delete;

 private:
  static std::uint32_t on_command(void* self, const abi::Command& command);
  [[nodiscard]] abi::net_uk::Result obey(const abi::Command& command);
  [[nodiscard]] abi::net_uk::Result repair(std::uint64_t part);

  Plumbing* plumbing_;
  Wire* wire_;
  Backend* backend_;
};

}  // namespace ppvmm::netuk

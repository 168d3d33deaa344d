// The part of the supervisor that knows driver domains: what net_uk's notices mean, and what
// becomes of its guests when it has a spare.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "abi/net_uk.hpp"
#include "root/daemon/supervisor.hpp"

namespace ppvmm::root::daemon {
namespace {

using abi::net_uk::Notice;
using abi::net_uk::Part;
using abi::net_uk::Trouble;

std::string_view name_of(Part part) {
  switch (part) {
    case Part::driver:
      return "driver";
    case Part::netback:
      return "netback";
  }
  return "unknown part";
}

std::string_view name_of(Trouble trouble) {
  switch (trouble) {
    case Trouble::died:
      return "died";
    case Trouble::stuck:
      return "stuck";
    case Trouble::device:
      return "device error";
    case Trouble::absent:
      return "device absent";
    case Trouble::ordered:
      return "ordered";
  }
  return "failed";
}

std::string_view part_of(std::uint32_t subject) {
  return name_of(static_cast<Part>(subject & 0xFFU));
}

std::string cause_of(std::uint32_t subject) {
  return fmt::format("{} {}", part_of(subject),
                     name_of(static_cast<Trouble>(subject >> 8U & 0xFFU)));
}

std::string vif_of(std::uint32_t subject) {
  return fmt::format("vif {} of domain {}", subject >> 16U, subject & 0xFFFFU);
}

}  // namespace

void Supervisor::network_notice(Unit& unit, const NoticeSeen& notice) {
  if (!unit.info.driver_domain) {
    note(unit, fmt::format("notice {}", notice.kind),
         fmt::format("subject {}, value {}", notice.subject, notice.value));
    return;
  }
  switch (static_cast<Notice>(notice.kind)) {
    case Notice::none:
      return;
    case Notice::part_repaired:
      part_repaired(unit, notice);
      return;
    case Notice::part_down:
      note(unit, cause_of(notice.subject),
           fmt::format("it cannot be repaired from inside yet; {} frames wait", notice.value));
      return;
    case Notice::vif_refused:
      note(unit, "vif refused",
           fmt::format("{} broke the protocol (reason {}) and is disconnected",
                       vif_of(notice.subject), notice.value));
      return;
    case Notice::vif_taken_over:
      note(unit, "vif taken over",
           fmt::format("{}, {} requests unanswered", vif_of(notice.subject), notice.value));
      return;
  }
  note(unit, fmt::format("notice {}", notice.kind),
       fmt::format("subject {}, value {}", notice.subject, notice.value));
}

/// A whole incident: the part has seen, repaired and told.
void Supervisor::part_repaired(Unit& unit, const NoticeSeen& notice) {
  const std::string part(part_of(notice.subject));
  ++unit.parts[part];
  const std::uint64_t end = notice.time_ns;
  const std::uint64_t begin = end - std::min(end, notice.value);
  const std::uint64_t id = history_->open(unit.info.name, cause_of(notice.subject),
                                          "repaired from inside, the rest went on", begin);
  Incident* const incident = history_->change(id);
  if (incident == nullptr) return;
  incident->repaired_ns = end;
  incident->serving_ns = end;
  incident->steps.push_back({.what = part + " restart", .begin_ns = begin, .end_ns = end});
  incident->outcome = Outcome::repaired;
}

void Supervisor::take_over(UnitId id, Unit& unit) {
  const std::string& name = unit.info.policy.spare;
  const auto spare = find(name);
  if (!spare) {
    note(unit, "no spare", "there is no unit \"" + name + "\" to take over");
    return;
  }
  if (!steady(units_.at(*spare))) {
    note(unit, "no spare", name + " is not well itself: nothing is moved to it");
    return;
  }
  begin_step(unit, "switch to " + name);
  actions_.push_back({.unit = id, .act = Act::move, .cause = {}, .words = name});
  actions_.push_back({.unit = *spare,
                      .act = Act::command,
                      .cause = {},
                      .words = {},
                      .command = unit.info.policy.take_over,
                      .subject = unit.info.domid});
}

}  // namespace ppvmm::root::daemon

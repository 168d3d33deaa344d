// The supervisor's choreography: how one unit goes through its repair, step by step (supervisor.hpp
// names the steps). What concerns more than one replica of a set is in replica_set.cpp.
#include <algorithm>
#include <utility>

#include "root/daemon/supervisor.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
/// A destroyed domain goes within milliseconds unless somebody maps its pages.
constexpr std::uint64_t kLongestEnd = 2000 * kMs;
/// One with a place in XenStore waits for the store, and for pciback, both at its end and before
/// its start.
constexpr std::uint64_t kLongestOnBus = 30'000 * kMs;

}  // namespace

bool Supervisor::held_back(const Unit& unit) const {
  return std::ranges::any_of(units_, [&](const auto& entry) {
    const Unit& other = entry.second;
    const bool needed =
        std::ranges::find(unit.info.after, other.info.name) != unit.info.after.end();
    return needed && other.phase != Phase::watching && other.phase != Phase::given_up;
  });
}

void Supervisor::step(UnitId id, Unit& unit) {
  switch (unit.phase) {
    case Phase::waiting:
      begin(id, unit);
      break;
    case Phase::detaching:
      step_detaching(id, unit);
      break;
    case Phase::destroying:
      step_destroying(id, unit);
      break;
    case Phase::starting:
      step_starting(id, unit);
      break;
    case Phase::attaching:
      step_attaching(id, unit);
      break;
    case Phase::watching:
      if (unit.joining) step_joining(unit);
      break;
    case Phase::acting:
    case Phase::given_up:
      break;
  }
}

void Supervisor::begin(UnitId id, Unit& unit) {
  const bool alone = unit.info.driver_domain && unit.wanted == Repair::microreboot;
  if (!alone && held_back(unit)) return;
  if (unit.wanted == Repair::rebuild) {
    begin_rebuild(id, unit);
    return;
  }
  // A backup's memory is what the primary recovers from: nothing is done to it meanwhile.
  if (unit.info.place.role == SetRole::backup) {
    const Unit* const primary = primary_of(unit);
    if (primary != nullptr && primary->phase != Phase::given_up && !steady(*primary)) return;
  }
  if (!unit.info.policy.spare.empty()) take_over(id, unit);
  ++unit.microreboots;
  unit.incarnation_before = unit.last ? unit.last->incarnation : 0;
  begin_step(unit, "microreboot");
  unit.phase = Phase::acting;
  actions_.push_back(
      {.unit = id, .act = Act::microreboot, .cause = unit.cause, .words = unit.info.policy.words});
}

void Supervisor::begin_rebuild(UnitId id, Unit& unit) {
  if (!unit.info.policy.spare.empty()) take_over(id, unit);
  if (unit.info.place.role != SetRole::backup) {
    begin_destroy(id, unit);
    return;
  }
  UnitId primary_id{};
  const Unit* const primary = primary_of(unit, &primary_id);
  if (primary == nullptr || primary->phase == Phase::given_up) {
    give_up(unit, "its primary is not there to take it up again");
    return;
  }
  if (!steady(*primary) || !turn_is_free(id, unit)) return;
  // Always, even if it was never attached: a primary that was reborn meanwhile may have mapped it.
  unit.phase = Phase::detaching;
  unit.since_ns = now_ns_;
  unit.command = {};
  begin_step(unit, "detach");
  // Before the command: a root that ends here must attach it again, ill or not.
  unit.info.place.attached = false;
  actions_.push_back({.unit = id, .act = Act::remember, .cause = {}, .words = {}});
  give_command(primary_id, unit, Command::detach);
}

void Supervisor::begin_destroy(UnitId id, Unit& unit) {
  ++unit.rebuilds;
  begin_step(unit, "rebuild");
  unit.info.rebuilding = true;
  unit.phase = Phase::destroying;
  unit.since_ns = now_ns_;
  unit.command = {};
  unit.dropped.clear();
  unit.last.reset();  // only a look after the order tells whether the id is free
  actions_.push_back({.unit = id, .act = Act::remember, .cause = {}, .words = {}});
  actions_.push_back({.unit = id, .act = Act::destroy, .cause = {}, .words = {}});
}

void Supervisor::step_destroying(UnitId id, Unit& unit) {
  if (unit.last && !unit.last->exists) {
    Action build{.unit = id, .act = Act::build, .cause = {}, .words = unit.info.policy.words};
    if (unit.info.place.role == SetRole::primary) {
      if (const auto index = detached_index(unit)) {
        build.command = static_cast<std::uint32_t>(Command::detach);
        build.subject = *index;
      }
    }
    unit.phase = Phase::acting;
    actions_.push_back(std::move(build));
    return;
  }
  if (now_ns_ - unit.since_ns > (unit.info.bus ? kLongestOnBus : kLongestEnd)) {
    give_up(unit, "its domain does not go away: somebody maps its pages");
    return;
  }
  // A primary that was built anew meanwhile may have taken hold of the pages again.
  constexpr std::uint64_t kPatience = 50 * kMs;
  if (unit.info.place.role == SetRole::backup && now_ns_ - unit.since_ns > kPatience &&
      (!unit.command.given || now_ns_ - unit.command.since_ns > kPatience)) {
    UnitId primary_id{};
    if (const Unit* const primary = primary_of(unit, &primary_id);
        primary != nullptr && steady(*primary)) {
      give_command(primary_id, unit, Command::detach);
    }
  }
}

void Supervisor::acted(const Action& action, const Acted& result, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  const auto found = units_.find(action.unit);
  if (found == units_.end()) return;
  Unit& unit = found->second;
  switch (action.act) {
    case Act::microreboot:
      if (!result.ok) {
        failed_attempt(unit, result.problem, Health::gone);
        return;
      }
      unit.phase = Phase::starting;
      unit.since_ns = now_ns;
      unit.last.reset();
      return;
    case Act::build:
      if (!result.ok) {
        failed_attempt(unit, result.problem, Health::gone);
        return;
      }
      unit.phase = Phase::starting;
      unit.since_ns = now_ns;
      unit.last.reset();
      unit.incarnation_before = 0;
      ++unit.generation;
      // Half made until it runs: nobody but root lets it.
      unit.info.rebuilding = unit.info.bus;
      if (unit.info.bus) begin_step(unit, "join");
      if (unit.info.place.role == SetRole::backup) unit.info.place.attached = false;
      actions_.push_back({.unit = action.unit, .act = Act::remember, .cause = {}, .words = {}});
      if (action.command != 0) {
        if (Unit* const backup = backup_of(unit, action.subject)) {
          backup->command.given = true;
          backup->command.serial = result.serial;
          backup->command.generation = unit.generation;
          backup->command.since_ns = now_ns;
        }
      }
      return;
    case Act::command:
      if (Unit* const backup = backup_of(unit, action.subject)) {
        backup->command.given = result.ok;
        backup->command.serial = result.serial;
        backup->command.generation = unit.generation;
        backup->command.since_ns = result.ok ? now_ns : 0;
      }
      return;
    case Act::destroy:
      // Whether it is going is seen by looking; a failure to order it is worth a word.
      if (!result.ok) note(unit, "destroy", result.problem);
      return;
    case Act::ping:
    case Act::nudge:
    case Act::remember:
    case Act::move:
      return;
  }
}

void Supervisor::runs(UnitId id, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  const auto found = units_.find(id);
  if (found != units_.end() && found->second.phase == Phase::starting) {
    begin_step(found->second, "start");
  }
}

void Supervisor::cannot_start(UnitId id, std::string problem, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  const auto found = units_.find(id);
  if (found == units_.end() || found->second.phase != Phase::starting) return;
  failed_attempt(found->second, std::move(problem), Health::gone);
}

void Supervisor::step_starting(UnitId id, Unit& unit) {
  if (!unit.last) return;
  const Observation& seen = *unit.last;
  const bool reborn = seen.incarnation > unit.incarnation_before;
  if (!seen.exists || seen.dying) {
    failed_attempt(unit, "its domain was destroyed while it started", Health::gone);
  } else if (reborn && seen.state == abi::LifeState::lost) {
    failed_attempt(unit, "it refused re-entry", Health::lost);
  } else if (reborn && seen.state == abi::LifeState::dead && seen.fault != abi::FaultKind::none) {
    unit.cause = seen.fault;
    failed_attempt(unit, "it crashed while it started", Health::faulted);
  } else if (seen.stopped) {
    const bool clean = reborn && seen.state == abi::LifeState::stopping;
    if (clean) {
      unit.phase = Phase::watching;
      complete(unit, Outcome::repaired);
      return;
    }
    failed_attempt(unit, "Xen stopped it while it started", Health::lost);
  } else if (reborn && seen.state == abi::LifeState::ready) {
    ready_again(id, unit);
  } else if (now_ns_ - unit.since_ns >
             unit.info.policy.patience.start_ns + (unit.info.rebuilding ? kLongestOnBus : 0)) {
    failed_attempt(unit, "it was not ready in time", Health::lost);
  }
}

void Supervisor::ready_again(UnitId id, Unit& unit) {
  end_step(unit, {});
  if (std::exchange(unit.info.rebuilding, false)) {
    actions_.push_back({.unit = id, .act = Act::remember, .cause = {}, .words = {}});
  }
  unit.judge = Judge(unit.info.policy.patience);
  if (unit.last) unit.health = unit.judge.observe(*unit.last);
  unit.told_stopped = false;
  unit.suspicion.clear();
  unit.damage.clear();
  unit.detail.clear();
  if (Incident* const open = history_->change(unit.incident)) open->repaired_ns = now_ns_;
  if (unit.info.place.role == SetRole::backup && !unit.info.place.attached) {
    unit.phase = Phase::attaching;
    unit.joined_early = false;
    unit.since_ns = now_ns_;
    unit.command = {};
    begin_step(unit, "attach");
    return;
  }
  unit.phase = Phase::watching;
  unit.since_ns = now_ns_;
  complete(unit, Outcome::repaired);
}

void Supervisor::failed_attempt(Unit& unit, std::string problem, Health as) {
  end_step(unit, std::move(problem));
  unit.wanted = unit.escalation.decide(as, now_ns_);
  unit.phase = Phase::waiting;
  unit.since_ns = now_ns_;
  if (unit.wanted == Repair::give_up) give_up(unit, "every repair failed");
}

}  // namespace ppvmm::root::daemon

#include "root/daemon/supervisor.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::root::daemon {
namespace {

/// Words for an incident's cause.
std::string_view cause_of(Health health) {
  switch (health) {
    case Health::hung:
      return "hang";
    case Health::faulted:
      return "crash";
    case Health::dead:
      return "hard crash";
    case Health::lost:
      return "survivors lost";
    case Health::gone:
      return "destroyed";
    default:
      return "unknown";
  }
}

/// What a microreboot tells the image about its last life.
abi::FaultKind kind_of(Health health, const Observation& seen) {
  if (health == Health::faulted) return seen.fault;
  return health == Health::hung ? abi::FaultKind::hang : abi::FaultKind::hard;
}

}  // namespace

UnitId Supervisor::add(UnitInfo info, std::uint64_t now_ns) {
  const UnitId id = next_id_++;
  const Policy policy = info.policy;
  Unit unit{.info = std::move(info),
            .judge = Judge(policy.patience),
            .escalation = Escalation(policy.limits)};
  unit.since_ns = now_ns;
  if (policy.refresh_ns != 0) unit.next_refresh_ns = now_ns + policy.refresh_ns;
  // An incident that an earlier run of root left open is continued.
  const Incident* const last = history_->last_of(unit.info.name);
  if (last != nullptr && last->outcome == Outcome::open) unit.incident = last->id;
  now_ns_ = now_ns;
  Unit& kept = units_.emplace(id, std::move(unit)).first->second;
  if (kept.info.rebuilding) {
    ill(kept, "rebuild interrupted", "root ended in the middle of it", Repair::rebuild);
  } else if (kept.info.place.role == SetRole::backup && !kept.info.place.attached) {
    ill(kept, "not attached", "root ended before the primary had taken it up", Repair::none);
    kept.phase = Phase::starting;
  }
  return id;
}

void Supervisor::remove(UnitId unit) {
  const auto found = units_.find(unit);
  if (found == units_.end()) return;
  if (Incident* const open = history_->change(found->second.incident)) {
    open->outcome = Outcome::noted;
    open->detail += " (released by an operator)";
  }
  units_.erase(found);
  std::erase_if(actions_, [&](const Action& action) { return action.unit == unit; });
}

std::optional<UnitId> Supervisor::find(std::string_view name) const {
  for (const auto& [id, unit] : units_) {
    if (unit.info.name == name) return id;
  }
  return std::nullopt;
}

void Supervisor::observe(UnitId id, const Observation& seen) {
  Unit& unit = units_.at(id);
  unit.last = seen;
  unit.health = unit.judge.observe(seen);
}

void Supervisor::describe(UnitId id, std::string detail, std::uint64_t fault_ns) {
  Unit& unit = units_.at(id);
  std::uint64_t incident = unit.incident;
  // Words may come when the repair is over.
  const Incident* const last = history_->last_of(unit.info.name);
  if (incident == 0 && last != nullptr && fault_ns != 0 && last->fault_ns == fault_ns) {
    incident = last->id;
  }
  if (Incident* const open = history_->change(incident)) {
    open->detail = detail + (open->detail.empty() ? "" : "; ") + open->detail;
    if (open->fault_ns == 0) open->fault_ns = fault_ns;
    return;
  }
  unit.detail = std::move(detail);
  unit.fault_ns = fault_ns;
}

void Supervisor::damaged(UnitId id, std::string where) {
  units_.at(id).damage = std::move(where);
}

bool Supervisor::order(UnitId id, Repair repair, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  Unit& unit = units_.at(id);
  if (unit.phase != Phase::watching && unit.phase != Phase::given_up) return false;
  unit.escalation = Escalation(unit.info.policy.limits);
  unit.cause = abi::FaultKind::none;
  ill(unit, "ordered", "by an operator", repair);
  return true;
}

void Supervisor::decide(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  // Illness is found everywhere before anything is begun: the order of repairs depends on it.
  for (auto& [id, unit] : units_) {
    if (unit.phase == Phase::watching) watch(id, unit);
  }
  for (auto& [id, unit] : units_)
    step(id, unit);
}

std::vector<Action> Supervisor::take_actions() {
  return std::exchange(actions_, {});
}

void Supervisor::watch(UnitId id, Unit& unit) {
  if (!unit.last) return;
  const bool detects = unit.info.policy.detect;
  if (detects && unit.health == Health::silent) {
    ++unit.pings;
    unit.health = Health::working;  // until the next look: one silence, one ping
    actions_.push_back({.unit = id, .act = Act::ping, .cause = {}, .words = {}});
    return;
  }
  if (detects && asks_for_repair(unit.health)) {
    const Health health = unit.health;
    unit.cause = kind_of(health, *unit.last);
    std::string cause(unit.cause == abi::FaultKind::corruption ? "corruption"
                      : unit.last->dying                       ? "destroyed"
                                                               : cause_of(health));
    ill(unit, std::move(cause), unit.detail, next_repair(unit, health));
    return;
  }
  if (detects && !unit.suspicion.empty()) {
    unit.cause = abi::FaultKind::hang;
    ill(unit, "hang", std::exchange(unit.suspicion, {}), next_repair(unit, Health::hung));
    return;
  }
  const bool runs = unit.last->state == abi::LifeState::ready;
  if (detects && runs && !unit.damage.empty()) {
    unit.cause = abi::FaultKind::corruption;
    ill(unit, "corruption", std::exchange(unit.damage, {}), next_repair(unit, Health::faulted));
    return;
  }
  if (detects && !unit.dropped.empty()) {
    ill(unit, std::exchange(unit.dropped, {}), {}, next_repair(unit, Health::lost));
    return;
  }
  if (unit.next_refresh_ns != 0 && now_ns_ >= unit.next_refresh_ns) {
    unit.next_refresh_ns = now_ns_ + unit.info.policy.refresh_ns;
    unit.cause = abi::FaultKind::none;
    const bool gone = unit.health == Health::gone || unit.last->dying;
    ill(unit, "refresh", {}, gone ? Repair::rebuild : Repair::microreboot);
    return;
  }
  if (unit.health == Health::stopped && !unit.told_stopped) {
    unit.told_stopped = true;
    note(unit, "ended", "it ended by itself and is left so");
  }
  // Left open by an earlier run of root, and well by now.
  if (unit.incident != 0 && !unit.joining && unit.health == Health::working) {
    complete(unit, Outcome::repaired);
  }
}

Repair Supervisor::next_repair(Unit& unit, Health health) {
  // What Xen stopped for a fault that could not be delivered still has its memory.
  if (health == Health::dead && unit.last && unit.last->exists && !unit.last->dying) {
    return unit.escalation.decide(Health::faulted, now_ns_);
  }
  return unit.escalation.decide(health, now_ns_);
}

void Supervisor::ill(Unit& unit, std::string cause, std::string detail, Repair wanted) {
  if (unit.incident == 0 || history_->change(unit.incident) == nullptr) {
    unit.incident = history_->open(unit.info.name, std::move(cause), std::move(detail), now_ns_);
    if (Incident* const fresh = history_->change(unit.incident)) {
      fresh->fault_ns = std::exchange(unit.fault_ns, 0);
    }
  } else if (Incident* const open = history_->change(unit.incident)) {
    open->detail +=
        (open->detail.empty() ? "" : "; then ") + cause + (detail.empty() ? "" : ": " + detail);
  }
  unit.joining = false;
  unit.wanted = wanted;
  unit.phase = Phase::waiting;
  unit.since_ns = now_ns_;
  if (wanted == Repair::give_up) {
    const RepairLimits& limits = unit.info.policy.limits;
    const bool never = limits.microreboots == 0 && limits.rebuilds == 0;
    give_up(unit, never ? "its policy repairs nothing" : "it failed too often within its window");
  }
}

void Supervisor::give_up(Unit& unit, const std::string& why) {
  end_step(unit, why);
  unit.phase = Phase::given_up;
  unit.since_ns = now_ns_;
  if (Incident* const open = history_->change(unit.incident)) {
    open->detail += (open->detail.empty() ? "" : "; ") + why;
  }
  complete(unit, Outcome::stopped);
}

void Supervisor::complete(Unit& unit, Outcome outcome) {
  if (Incident* const open = history_->change(unit.incident)) {
    open->outcome = outcome;
    if (outcome == Outcome::repaired) {
      if (open->repaired_ns == 0) open->repaired_ns = now_ns_;
      // A store says itself when it has served again; the others serve when they are ready.
      if (open->serving_ns == 0 && !unit.info.xenstore) open->serving_ns = now_ns_;
    }
  }
  unit.incident = 0;
  unit.wanted = Repair::none;
}

void Supervisor::note(const Unit& unit, std::string cause, std::string detail) {
  history_->note(unit.info.name, std::move(cause), std::move(detail), now_ns_);
}

void Supervisor::begin_step(Unit& unit, std::string what) {
  if (Incident* const open = history_->change(unit.incident)) {
    // A step that nobody ended was overtaken by this one.
    if (!open->steps.empty() && open->steps.back().end_ns == 0) {
      open->steps.back().end_ns = now_ns_;
    }
    open->steps.push_back({.what = std::move(what), .begin_ns = now_ns_});
  }
}

void Supervisor::end_step(Unit& unit, std::string problem) {
  Incident* const open = history_->change(unit.incident);
  if (open == nullptr || open->steps.empty() || open->steps.back().end_ns != 0) return;
  open->steps.back().end_ns = now_ns_;
  open->steps.back().problem = std::move(problem);
}

UnitStatus Supervisor::status(UnitId id) const {
  const Unit& unit = units_.at(id);
  return {.phase = unit.phase,
          .health = unit.health,
          .member = unit.info.place.role == SetRole::backup && unit.info.place.attached &&
                    !unit.joining && unit.phase == Phase::watching,
          .microreboots = unit.microreboots,
          .rebuilds = unit.rebuilds,
          .pings = unit.pings,
          .incident = unit.incident,
          .parts = unit.parts};
}

bool Supervisor::must_poll() const {
  // One whose device pciback has takes long to go, and the processor is needed for that.
  constexpr std::uint64_t kSoon = 10'000'000;
  return std::ranges::any_of(units_, [&](const auto& entry) {
    const Unit& unit = entry.second;
    return unit.phase == Phase::destroying && (!unit.info.bus || now_ns_ - unit.since_ns < kSoon);
  });
}

bool Supervisor::busy() const {
  return std::ranges::any_of(units_, [](const auto& entry) {
    const Unit& unit = entry.second;
    return unit.phase != Phase::watching && unit.phase != Phase::given_up;
  });
}

}  // namespace ppvmm::root::daemon

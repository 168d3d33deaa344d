// The part of the supervisor that knows what a set of XenStore replicas is: who maps whose memory,
// what the primary must be told before and after a backup is rebuilt, and what its notices mean.
//
// Rules. The primary is repaired first: a backup's memory is what it recovers from. A backup's
// domain ends only after the primary has said that it let go of it (or while there is no primary
// that could hold it). One backup at a time: a command stays in force over the primary's rebirth,
// and there is room for one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "root/daemon/supervisor.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
/// A command that is not carried out is brought to mind this often ...
constexpr std::uint64_t kNudge = 30 * kMs;
/// ... and after so many times the primary counts as hung.
constexpr std::uint32_t kNudges = 20;
constexpr std::uint64_t kAttachAgain = 5 * kMs;
constexpr std::uint32_t kAttachTries = 40;
/// To fill a backup takes a fraction of this even with 100 000 nodes.
constexpr std::uint64_t kJoin = 10'000 * kMs;
/// A refill that the primary begins by itself when it is idle.
constexpr std::uint64_t kRefill = 2'000 * kMs;

using Notice = abi::xenstore_set::Notice;
using Result = abi::xenstore_set::Result;

}  // namespace

Supervisor::Unit* Supervisor::primary_of(const Unit& backup, UnitId* id) {
  for (auto& [each_id, each] : units_) {
    if (each.info.place.role == SetRole::primary && each.info.place.set == backup.info.place.set) {
      if (id != nullptr) *id = each_id;
      return &each;
    }
  }
  return nullptr;
}

Supervisor::Unit* Supervisor::backup_of(const Unit& primary, std::uint64_t index, UnitId* id) {
  if (primary.info.place.role != SetRole::primary) return nullptr;
  for (auto& [each_id, each] : units_) {
    if (each.info.place.role == SetRole::backup && each.info.place.set == primary.info.place.set &&
        each.info.place.index == index) {
      if (id != nullptr) *id = each_id;
      return &each;
    }
  }
  return nullptr;
}

/// Well, as far as is known, and able to carry out a command.
bool Supervisor::steady(const Unit& unit) {
  return unit.phase == Phase::watching && unit.last && unit.last->exists && !unit.last->stopped &&
         unit.last->state == abi::LifeState::ready &&
         (unit.health == Health::working || unit.health == Health::silent);
}

/// A primary that was built anew has not heard of what the one before was told.
bool Supervisor::unheard(const Unit& backup, const Unit& primary) {
  if (!backup.command.given) return backup.command.since_ns == 0;
  return backup.command.generation != primary.generation;
}

bool Supervisor::turn_is_free(UnitId id, const Unit& unit) const {
  return std::ranges::none_of(units_, [&](const auto& entry) {
    const auto& [other_id, other] = entry;
    if (other_id == id || other.info.place.role != SetRole::backup ||
        other.info.place.set != unit.info.place.set) {
      return false;
    }
    const bool in_place = other.wanted == Repair::microreboot;
    return other.phase == Phase::detaching || other.phase == Phase::destroying ||
           other.phase == Phase::attaching ||
           ((other.phase == Phase::acting || other.phase == Phase::starting) && !in_place);
  });
}

void Supervisor::give_command(UnitId primary, Unit& backup, Command command) {
  backup.command.given = false;
  backup.command.since_ns = now_ns_;
  backup.command.nudges = 0;
  if (command == Command::attach) backup.info.place.attached = true;
  actions_.push_back({.unit = primary,
                      .act = Act::command,
                      .cause = {},
                      .words = {},
                      .command = static_cast<std::uint32_t>(command),
                      .subject = backup.info.place.index});
}

std::optional<std::uint32_t> Supervisor::command_result(Unit& backup) {
  UnitId primary_id{};
  Unit* const primary = primary_of(backup, &primary_id);
  if (primary == nullptr || !backup.command.given || !primary->last) return std::nullopt;
  if (backup.command.generation != primary->generation) return std::nullopt;
  if (primary->last->command_done == backup.command.serial) return primary->last->command_result;
  // Another command took its place before the primary looked: there is room for one.
  if (static_cast<std::int32_t>(primary->last->command_done - backup.command.serial) > 0) {
    backup.command = {};
    return std::nullopt;
  }
  if (steady(*primary) && now_ns_ - backup.command.since_ns > kNudge) {
    backup.command.since_ns = now_ns_;
    if (++backup.command.nudges > kNudges) {
      backup.command.nudges = 0;
      primary->suspicion = "it does not carry out root's commands";
    } else {
      actions_.push_back({.unit = primary_id, .act = Act::nudge, .cause = {}, .words = {}});
    }
  }
  return std::nullopt;
}

void Supervisor::step_detaching(UnitId id, Unit& unit) {
  UnitId primary_id{};
  const Unit* const primary = primary_of(unit, &primary_id);
  if (primary == nullptr || primary->phase == Phase::given_up) {
    give_up(unit, "its primary is not there to take it up again");
    return;
  }
  if (const auto result = command_result(unit)) {
    if (*result == static_cast<std::uint32_t>(Result::unknown)) {
      give_up(unit, "its primary does not know the command to let go of it");
      return;
    }
    end_step(unit, {});
    begin_destroy(id, unit);
    return;
  }
  if (unheard(unit, *primary) && steady(*primary)) {
    give_command(primary_id, unit, Command::detach);
  }
}

void Supervisor::step_attaching(UnitId id, Unit& unit) {
  UnitId primary_id{};
  const Unit* const primary = primary_of(unit, &primary_id);
  if (primary == nullptr || primary->phase == Phase::given_up) {
    give_up(unit, "its primary is not there to take it up");
    return;
  }
  // It may fail itself meanwhile; from the command on the primary may hold its memory.
  if (asks_for_repair(unit.health)) {
    const std::string problem = "it failed while it was taken up";
    unit.cause = abi::FaultKind::none;
    failed_attempt(unit, problem, Health::lost);
    return;
  }
  if (const auto result = command_result(unit)) {
    if (*result == static_cast<std::uint32_t>(Result::done)) {
      end_step(unit, {});
      unit.phase = Phase::watching;
      unit.since_ns = now_ns_;
      unit.joining = true;
      unit.join_until_ns = now_ns_ + kJoin;
      begin_step(unit, "fill");
      if (unit.joined_early) joined(unit);
      actions_.push_back({.unit = id, .act = Act::remember, .cause = {}, .words = {}});
      return;
    }
    if (*result != static_cast<std::uint32_t>(Result::not_granted)) {
      give_up(unit, fmt::format("its primary refuses to take it up (result {})", *result));
      return;
    }
    if (now_ns_ - unit.command.since_ns < kAttachAgain) return;
    if (++unit.command.tries > kAttachTries) {
      failed_attempt(unit, "its pages cannot be mapped by the primary", Health::lost);
      return;
    }
    if (steady(*primary)) give_command(primary_id, unit, Command::attach);
    return;
  }
  if (unheard(unit, *primary) && steady(*primary)) {
    give_command(primary_id, unit, Command::attach);
    actions_.push_back({.unit = id, .act = Act::remember, .cause = {}, .words = {}});
  }
}

void Supervisor::joined(Unit& backup) {
  // A small store is filled before root has seen that the command was carried out.
  if (backup.phase == Phase::attaching) backup.joined_early = true;
  if (!backup.joining) return;
  backup.joining = false;
  end_step(backup, {});
  complete(backup, Outcome::repaired);
}

void Supervisor::step_joining(Unit& unit) {
  if (now_ns_ < unit.join_until_ns) return;
  end_step(unit, "it has not become a member in time");
  ill(unit, "not filled", {}, next_repair(unit, Health::lost));
}

std::optional<std::uint64_t> Supervisor::detached_index(const Unit& primary) const {
  for (const auto& [id, each] : units_) {
    if (each.info.place.role != SetRole::backup || each.info.place.set != primary.info.place.set) {
      continue;
    }
    const bool rebuilt = each.phase == Phase::detaching || each.phase == Phase::destroying ||
                         ((each.phase == Phase::acting || each.phase == Phase::starting) &&
                          each.wanted == Repair::rebuild);
    if (rebuilt) return each.info.place.index;
  }
  return std::nullopt;
}

void Supervisor::backup_must_be_rebuilt(const Unit& primary, std::uint64_t index, std::string cause,
                                        std::string detail) {
  UnitId id{};
  Unit* const backup = backup_of(primary, index, &id);
  if (backup == nullptr) {
    note(primary, std::move(cause), std::move(detail));
    return;
  }
  if (backup->phase != Phase::watching) {
    // A repair in place keeps the memory that the primary has just refused. One that is being
    // rebuilt already is past what the notice tells of.
    if (backup->wanted == Repair::microreboot) backup->dropped = std::move(cause);
    return;
  }
  ill(*backup, std::move(cause), std::move(detail), next_repair(*backup, Health::lost));
}

void Supervisor::backup_is_refilled(const Unit& primary, std::uint64_t index, std::string cause,
                                    std::string detail) {
  Unit* const backup = backup_of(primary, index);
  if (backup == nullptr || backup->phase != Phase::watching || backup->joining) return;
  ill(*backup, std::move(cause), std::move(detail), Repair::none);
  backup->phase = Phase::watching;
  backup->joining = true;
  backup->join_until_ns = now_ns_ + kRefill;
  begin_step(*backup, "refill by the primary");
}

void Supervisor::notice(UnitId id, const NoticeSeen& notice) {
  const auto found = units_.find(id);
  if (found == units_.end()) return;
  now_ns_ = std::max(now_ns_, notice.time_ns);
  Unit& unit = found->second;
  if (unit.info.place.role == SetRole::backup) {
    backup_notice(unit, notice);
  } else if (unit.info.xenstore) {
    primary_notice(id, unit, notice);
  } else {
    network_notice(unit, notice);
  }
}

void Supervisor::primary_notice(UnitId id, Unit& unit, const NoticeSeen& notice) {
  const std::uint32_t subject = notice.subject;
  const std::uint64_t value = notice.value;
  switch (static_cast<Notice>(notice.kind)) {
    case Notice::none:
      return;
    case Notice::recovered:
      note(unit, "recovered", fmt::format("from source {}, {} records replayed", subject, value));
      return;
    case Notice::serving: {
      const Incident* const last = history_->last_of(unit.info.name);
      if (last == nullptr || last->serving_ns != 0 || last->seen_ns > notice.time_ns) return;
      if (Incident* const open = history_->change(last->id)) open->serving_ns = notice.time_ns;
      return;
    }
    case Notice::backup_joined:
      if (Unit* const backup = backup_of(unit, subject); backup != nullptr) joined(*backup);
      return;
    case Notice::backup_stuck:
      backup_must_be_rebuilt(unit, subject, "stuck", "it did not release log in time");
      return;
    case Notice::backup_damaged:
      backup_is_refilled(unit, subject, "corruption", "its memory is not what was written");
      return;
    case Notice::backup_lost:
      backup_must_be_rebuilt(unit, subject, "lost", "the primary cannot use it any more");
      return;
    case Notice::refill_failed:
      backup_must_be_rebuilt(unit, subject, "refill failed", fmt::format("error {}", value));
      return;
    case Notice::region_unusable:
      backup_is_refilled(unit, subject, "region unusable", fmt::format("standing {}", value));
      return;
    case Notice::alone:
      note(unit, "ALONE", "no backup is left: the next fault loses the store's contents");
      return;
    case Notice::connection_failed:
      note(unit, "connection failed",
           fmt::format("the ring of domain {} could not be continued", subject));
      return;
    case Notice::odd_one_out:
      if (subject != 0) {
        backup_is_refilled(unit, subject - 1, "corruption", "outvoted by the other two");
      } else if (unit.phase == Phase::watching) {
        unit.cause = abi::FaultKind::corruption;
        ill(unit, "corruption", "outvoted by both backups", next_repair(unit, Health::faulted));
      }
      return;
    case Notice::no_majority:
      note(unit, "NO MAJORITY", "digests differ and nobody knows who is wrong; scrubbing");
      actions_.push_back({.unit = id,
                          .act = Act::command,
                          .cause = {},
                          .words = {},
                          .command = static_cast<std::uint32_t>(Command::scrub),
                          .subject = 0xFFFF});
      return;
    case Notice::stale_state:
      note(unit, "STALE STATE", "no complete region was left: acknowledged changes may be lost");
      return;
    case Notice::all_lost:
      set_is_lost(unit, "ALL REPLICAS LOST: nothing to recover from, the store has stopped");
      return;
    case Notice::following:
    case Notice::backup_wrong:
    case Notice::rotted:
      break;
  }
  note(unit, fmt::format("notice {}", notice.kind),
       fmt::format("subject {}, value {}", subject, value));
}

void Supervisor::backup_notice(Unit& unit, const NoticeSeen& notice) {
  switch (static_cast<Notice>(notice.kind)) {
    case Notice::following:
      return;
    case Notice::rotted:
      note(unit, "rotted", "scrubbing found and mended something in its region");
      return;
    case Notice::backup_wrong:
      if (unit.phase == Phase::watching) {
        ill(unit, "corruption", "its log or state is damaged", next_repair(unit, Health::lost));
      }
      return;
    default:
      note(unit, fmt::format("notice {}", notice.kind),
           fmt::format("subject {}, value {}", notice.subject, notice.value));
  }
}

void Supervisor::set_is_lost(Unit& unit, const std::string& why) {
  if (unit.incident == 0) {
    unit.incident = history_->open(unit.info.name, "all lost", {}, now_ns_);
  }
  give_up(unit, why);
}

}  // namespace ppvmm::root::daemon

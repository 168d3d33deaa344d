#include "simulated_host.hpp"

#include <fmt/format.h>

namespace ppvmm::root::daemon::test {
namespace {

namespace set = abi::xenstore_set;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStep = kMs;

UnitInfo info_of(std::size_t unit) {
  UnitInfo info;
  info.policy = *preset("fg");
  info.domid = static_cast<std::uint16_t>(unit + 1);
  switch (unit) {
    case 0:
      info.name = "store";
      info.xenstore = true;
      info.place = {.role = SetRole::primary, .set = "store", .index = 0, .attached = true};
      break;
    case 1:
    case 2:
      info.name = fmt::format("store-backup-{}", unit - 1);
      info.place = {.role = SetRole::backup,
                    .set = "store",
                    .index = static_cast<std::uint32_t>(unit - 1),
                    .attached = true};
      break;
    case 3:
      info.name = "net";
      info.after = {"store"};
      break;
    default:
      info.name = "tool";
      info.after = {"store", "net"};
  }
  return info;
}

}  // namespace

SimHost::SimHost(std::uint64_t seed) : random_(seed) {
  for (std::size_t unit = 0; unit < kUnits; ++unit)
    remembered_[unit] = info_of(unit);
  domains_[0].maps = {0, 1};
  adopt();
}

void SimHost::adopt() {
  root_.emplace(history_);
  for (std::size_t unit = 0; unit < kUnits; ++unit)
    ids_[unit] = root_->add(remembered_[unit], now_);
}

void SimHost::kill_root() {
  ++kills_of_root;
  notices_.clear();
  adopt();
}

void SimHost::violation(std::string what) {
  wrong_.push_back(fmt::format("at {} ms: {}", now_ / kMs, what));
}

void SimHost::step() {
  now_ += kStep;
  for (std::size_t unit = 0; unit < kUnits; ++unit)
    run(unit);
  primary_works();
  free_ended();
  for (std::size_t unit = 0; unit < kUnits; ++unit)
    look(unit);
  for (const NoticeSeen& notice : std::exchange(notices_, {}))
    root_->notice(ids_[0], notice);
  carry_out();
}

void SimHost::run(std::size_t unit) {
  SimDomain& domain = domains_[unit];
  if (!domain.runs()) return;
  ++domain.progress;
  domain.pong = domain.ping;
  if (domain.state != abi::LifeState::booting || now_ < domain.ready_at) return;
  if (std::exchange(domain.will_be_lost, false)) {
    domain.state = abi::LifeState::lost;
    domain.stopped = true;
  } else if (std::exchange(domain.will_crash, false)) {
    crash(unit, abi::FaultKind::panic);
  } else {
    domain.state = abi::LifeState::ready;
    if (unit != 0) return;
    // A primary takes hold of every backup there is, but for one that it was told to leave.
    for (std::uint64_t index = 0; index < 2; ++index) {
      const SimDomain& backup = domains_[index + 1];
      const bool told = domain.command.serial != 0 && domain.command.subject == index &&
                        domain.command.kind == static_cast<std::uint32_t>(set::Command::detach);
      if (backup.exists && !told) {
        domain.maps.insert(index);
        domain.joins_at[index] = now_ + 5 * kMs;
      }
    }
  }
}

void SimHost::primary_works() {
  SimDomain& primary = domains_[0];
  if (!primary.serves()) return;
  if (primary.command.serial != primary.command_done && now_ >= primary.command_at) {
    const std::uint64_t index = primary.command.subject;
    auto result = set::Result::done;
    switch (static_cast<set::Command>(primary.command.kind)) {
      case set::Command::detach:
        primary.maps.erase(index);
        primary.joins_at.erase(index);
        primary.told_stuck.erase(index);
        break;
      case set::Command::attach:
        if (domains_[index + 1].serves()) {
          primary.maps.insert(index);
          primary.joins_at[index] = now_ + random_.below(4) * kMs;  // now and then at once
        } else {
          result = set::Result::not_granted;
        }
        break;
      default:
        break;
    }
    primary.command_result = static_cast<std::uint32_t>(result);
    primary.command_done = primary.command.serial;
  }
  for (auto it = primary.joins_at.begin(); it != primary.joins_at.end();) {
    if (now_ < it->second || !domains_[it->first + 1].serves()) {
      ++it;
      continue;
    }
    notices_.push_back({.time_ns = now_,
                        .kind = static_cast<std::uint32_t>(set::Notice::backup_joined),
                        .subject = static_cast<std::uint32_t>(it->first)});
    it = primary.joins_at.erase(it);
  }
  for (const std::uint64_t index : primary.maps) {
    SimDomain& backup = domains_[index + 1];
    if (backup.serves()) backup.down_since = now_;
    constexpr std::uint64_t kPatience = 15 * kMs;
    if (now_ - backup.down_since > kPatience && primary.told_stuck.insert(index).second) {
      notices_.push_back({.time_ns = now_,
                          .kind = static_cast<std::uint32_t>(set::Notice::backup_stuck),
                          .subject = static_cast<std::uint32_t>(index)});
    }
  }
}

void SimHost::free_ended() {
  if (domains_[0].dying) {
    domains_[0].maps.clear();
    domains_[0].exists = false;
  }
  for (std::size_t unit = 1; unit < kUnits; ++unit) {
    const bool held = unit <= 2 && domains_[0].exists && domains_[0].maps.contains(unit - 1);
    if (domains_[unit].dying && !held) domains_[unit].exists = false;
  }
}

void SimHost::look(std::size_t unit) {
  const SimDomain& domain = domains_[unit];
  Observation seen;
  seen.now_ns = now_;
  seen.exists = domain.exists;
  if (domain.exists) {
    seen.stopped = domain.stopped || domain.dying;
    seen.crashed = domain.stopped;
    seen.dying = domain.dying;
    seen.state = domain.state;
    seen.incarnation = domain.incarnation;
    if (domain.fault_incarnation == domain.incarnation) seen.fault = domain.fault;
    seen.progress = domain.progress;
    seen.ping = domain.ping;
    seen.pong = domain.pong;
    seen.paused = domain.paused;
    seen.command_done = domain.command_done;
    seen.command_result = domain.command_result;
  }
  root_->observe(ids_[unit], seen);
}

void SimHost::carry_out() {
  root_->decide(now_);
  for (auto actions = root_->take_actions(); !actions.empty(); actions = root_->take_actions()) {
    for (const Action& action : actions) {
      std::size_t unit = 0;
      while (ids_[unit] != action.unit)
        ++unit;
      const Acted result = act(action, unit);
      if (std::exchange(root_dies_, false)) {
        kill_root();
        return;
      }
      if (action.act == Act::microreboot || action.act == Act::destroy ||
          action.act == Act::build || action.act == Act::command) {
        root_->acted(action, result, now_);
      }
      free_ended();
      look(unit);
    }
    root_->decide(now_);
  }
}

Acted SimHost::act(const Action& action, std::size_t unit) {
  SimDomain& domain = domains_[unit];
  switch (action.act) {
    case Act::ping:
      ++domain.ping;
      return {.ok = true, .problem = {}};
    case Act::nudge:
    case Act::move:
      return {.ok = true, .problem = {}};
    case Act::remember:
      remembered_[unit] = root_->info(ids_[unit]);
      return {.ok = true, .problem = {}};
    case Act::command:
      domain.command = {
          .serial = domain.command.serial + 1, .kind = action.command, .subject = action.subject};
      domain.command_at = now_ + random_.below(3) * kMs;
      return {.ok = domain.exists, .problem = {}, .serial = domain.command.serial};
    case Act::microreboot:
      if (being_built_[unit]) violation(fmt::format("unit {} re-entered while it is built", unit));
      if (domain.state == abi::LifeState::booting && domain.runs()) {
        violation(fmt::format("unit {} re-entered while it starts", unit));
      }
      if (!domain.exists || domain.dying) return {.ok = false, .problem = "no such domain"};
      ++microreboots;
      domain.stopped = domain.paused = domain.hung = false;
      domain.state = abi::LifeState::booting;
      ++domain.incarnation;
      domain.ready_at = now_ + (1 + random_.below(3)) * kMs;
      domain.will_be_lost = accidents && random_.chance(5);
      domain.will_crash = accidents && random_.chance(5);
      return {.ok = true, .problem = {}};
    case Act::destroy:
      if (unit == 1 || unit == 2) {
        if (domains_[0].exists && domains_[0].maps.contains(unit - 1)) {
          violation(fmt::format("backup {} destroyed while the primary maps it", unit - 1));
        }
      }
      being_built_[unit] = true;
      domain.dying = true;
      return {.ok = true, .problem = {}};
    case Act::build: {
      if (domain.exists) violation(fmt::format("unit {} built while its domain exists", unit));
      if (!being_built_[unit]) violation(fmt::format("unit {} built without an end", unit));
      if (accidents && random_.chance(5)) return {.ok = false, .problem = "no memory"};
      ++builds;
      being_built_[unit] = false;
      domain = SimDomain{};
      domain.state = abi::LifeState::booting;
      domain.ready_at = now_ + (1 + random_.below(3)) * kMs;
      domain.will_crash = accidents && random_.chance(5);
      domain.down_since = now_;
      if (action.command != 0) {
        domain.command = {.serial = 1, .kind = action.command, .subject = action.subject};
      }
      return {.ok = true, .problem = {}, .serial = domain.command.serial};
    }
  }
  return {};
}

void SimHost::crash(std::size_t unit, abi::FaultKind kind) {
  SimDomain& domain = domains_[unit];
  domain.state = abi::LifeState::dead;
  domain.fault = kind;
  domain.fault_incarnation = domain.incarnation;
  domain.stopped = true;
}

void SimHost::harm() {
  const std::size_t unit = random_.below(kUnits);
  SimDomain& domain = domains_[unit];
  switch (random_.below(9)) {
    case 0:
    case 1:
      if (domain.serves()) crash(unit, abi::FaultKind::trap);
      break;
    case 2:
      if (domain.runs()) domain.hung = true;
      break;
    case 3:
      if (domain.exists) domain.paused = true;
      break;
    case 4:
      domain.dying = domain.exists;
      break;
    case 5:
      if (domain.exists) domain.stopped = true;  // without a word: Xen's domain_crash
      break;
    case 6:
      root_dies_ = true;  // after the next thing it does, wherever that is
      break;
    case 7:
      root_->damaged(ids_[unit], "one page of code");
      break;
    default:
      if (domains_[0].serves()) {
        const std::size_t odd = random_.below(3);
        notices_.push_back({.time_ns = now_,
                            .kind = static_cast<std::uint32_t>(set::Notice::odd_one_out),
                            .subject = static_cast<std::uint32_t>(odd)});
        // The primary fills a backup again by itself, and now and then fails to.
        const bool refills = odd != 0 && domains_[0].maps.contains(odd - 1);
        if (refills && !random_.chance(20)) domains_[0].joins_at[odd - 1] = now_ + 5 * kMs;
      }
  }
}

std::string SimHost::unsettled() {
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    const UnitStatus status = root_->status(ids_[unit]);
    const std::string& name = remembered_[unit].name;
    if (status.phase == Phase::given_up) {
      const Incident* const last = history_.last_of(name);
      if (last == nullptr || last->outcome != Outcome::stopped) {
        return name + " was given up in silence";
      }
      continue;
    }
    if (status.phase != Phase::watching) {
      return fmt::format("{} is still {}", name, name_of(status.phase));
    }
    if (!domains_[unit].serves()) return name + " does not serve";
    const bool backup = unit == 1 || unit == 2;
    const bool primary_up = root_->status(ids_[0]).phase == Phase::watching;
    if (backup && primary_up && !domains_[0].maps.contains(unit - 1)) {
      return name + " is no member";
    }
  }
  for (const Incident& incident : history_.incidents()) {
    if (incident.outcome == Outcome::open) {
      return fmt::format("incident {} of {} ({}) is open", incident.id, incident.unit,
                         incident.cause);
    }
    if (incident.outcome == Outcome::repaired && incident.repaired_ns < incident.seen_ns) {
      return fmt::format("incident {} of {} was repaired before it was seen", incident.id,
                         incident.unit);
    }
  }
  return {};
}

}  // namespace ppvmm::root::daemon::test

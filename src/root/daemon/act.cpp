// What the daemon does: the supervisor's actions, errands in guests' XenStore entries, backups held
// meanwhile.
#include <vector>

#include "root/daemon/daemon.hpp"

namespace ppvmm::root::daemon {
namespace {

/// For so long the backups of a primary that comes back are held at most.
constexpr std::uint64_t kLongestHold = 100 * kNsPerMs;
/// The supervisor asks for little; a loop longer than this is a mistake of ours, not work.
constexpr int kMostRounds = 64;

}  // namespace

void Daemon::carry_out() {
  std::uint64_t now = now_ns_;
  for (int round = 0; round < kMostRounds; ++round) {
    supervisor_.decide(now);
    const std::vector<Action> actions = supervisor_.take_actions();
    if (actions.empty()) return;
    for (const Action& action : actions) {
      const auto found = handles_.find(action.unit);
      if (found == handles_.end()) continue;
      Handle& handle = *found->second;
      keep_still(action.unit, action.act);
      Acted result;
      switch (action.act) {
        case Act::ping:
          handle.ping();
          break;
        case Act::nudge:
          handle.nudge();
          break;
        case Act::remember: {
          const UnitInfo& info = supervisor_.info(action.unit);
          handle.record().place = info.place;
          handle.record().rebuilding = info.rebuilding;
          unsaved_.erase(action.unit);
          if (const auto saved = registry_.save(handle.record()); !saved) {
            say(saved.error().text());
          }
          break;
        }
        case Act::move:
          handle.move_to(action.words);
          break;
        case Act::microreboot:
          result = handle.microreboot(action);
          break;
        case Act::destroy:
          log_console(handle);
          result = handle.destroy();
          break;
        case Act::build:
          result = handle.build(action);
          break;
        case Act::command:
          result = handle.command(action);
          break;
      }
      const bool silent = action.act == Act::ping || action.act == Act::nudge ||
                          action.act == Act::remember || action.act == Act::move;
      if (silent) continue;
      now = now_ns();
      supervisor_.acted(action, result, now);
      look_at(action.unit, xen_.domain(handle.record().built.domid), judged_ns_);
    }
  }
}

void Daemon::tend_errands() {
  for (const auto& [id, handle] : handles_) {
    if (handle->errands().idle()) continue;
    if (const auto ended = handle->errands().advance()) errand_ended(id, *handle, *ended);
  }
}

void Daemon::errand_ended(UnitId id, Handle& handle, const Errands::Ended& ended) {
  if (ended.what == "join") {
    const auto runs = ended.ok ? handle.let_run() : refused(ended.problem);
    if (runs) {
      supervisor_.runs(id, now_ns_);
    } else {
      supervisor_.cannot_start(id, runs.error().text(), now_ns_);
    }
    return;
  }
  if (ended.ok && ended.what != "move") return;
  history_.note(handle.record().name, ended.what,
                ended.ok ? "its vifs are with its spare" : "failed: " + ended.problem, now_ns_);
}

/// While a primary is brought back its backups are held. To act on one of them ends that.
void Daemon::keep_still(UnitId id, Act act) {
  const bool comes_back = act == Act::microreboot || act == Act::destroy || act == Act::build;
  if (!comes_back || !crowded_) return;
  const SetPlace& place = supervisor_.info(id).place;
  if (stillness_.holds(handles_.at(id)->record().built.domid)) stillness_.end();
  if (place.role != SetRole::primary) return;
  served_by_ = id;
  for (const auto& [other, handle] : handles_) {
    const UnitInfo& info = supervisor_.info(other);
    const bool backup = info.place.role == SetRole::backup && info.place.set == place.set;
    if (!backup || supervisor_.status(other).phase != Phase::watching) continue;
    handle->tolerate_pause(judged_ns_ + kLongestHold);
    stillness_.hold(handle->record().built.domid, now_ns_);
  }
}

void Daemon::end_stillness() {
  if (!stillness_.any()) return;
  const bool known = handles_.contains(served_by_);
  const Phase phase = known ? supervisor_.status(served_by_).phase : Phase::given_up;
  const Incident* const last =
      known ? history_.last_of(supervisor_.info(served_by_).name) : nullptr;
  const bool serves = phase == Phase::watching && last != nullptr && last->serving_ns != 0;
  if (!serves && phase != Phase::given_up && now_ns_ - stillness_.since_ns() < kLongestHold) return;
  stillness_.end();
}

}  // namespace ppvmm::root::daemon

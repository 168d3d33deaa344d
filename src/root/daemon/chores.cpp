// What can wait until no repair is under way: words for faults, consoles, scrubbing, the books.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "root/daemon/daemon.hpp"

namespace ppvmm::root::daemon {
namespace {

/// What is not needed for a new domain to serve is done when it has been there for so long.
constexpr std::uint64_t kSettled = 50 * kNsPerMs;

}  // namespace

/// To find the name of an address takes longer than to begin a repair.
void Daemon::word_faults() {
  for (const auto& [id, record] : std::exchange(unworded_, {})) {
    const auto handle = handles_.find(id);
    if (handle == handles_.end()) continue;
    supervisor_.describe(id, handle->second->words_of(record.first), record.second);
  }
}

void Daemon::do_chores() {
  last_chores_ns_ = now_ns_;
  word_faults();
  for (const auto& [id, handle] : handles_) {
    // One that was just built, and is serving by now. Should it be going already, the next look
    // says so.
    const bool waits = handle->held() && !handle->wholly_held();
    if (waits && now_ns_ - handle->held_since_ns() > kSettled) {
      if (handle->complete_hold()) handle->furnish();
    }
  }
  for (const UnitId id : std::exchange(talking_, {})) {
    if (const auto handle = handles_.find(id); handle != handles_.end())
      log_console(*handle->second);
  }
  for (const UnitId id : std::exchange(unsaved_, {})) {
    const auto handle = handles_.find(id);
    if (handle == handles_.end()) continue;
    if (const auto saved = registry_.save(handle->second->record()); !saved) {
      say(saved.error().text());
    }
  }
}

// Spread evenly over time and over the units: a share of each look, and never while there is
// something better to do.
void Daemon::scrub() {
  if (config_.scrub_pages == 0 || handles_.empty()) return;
  const std::uint64_t now = now_ns_;
  if (last_scrub_ns_ == 0) last_scrub_ns_ = now;
  scrub_debt_ns_ = std::min(scrub_debt_ns_ + (now - last_scrub_ns_), kNsPerSecond / 10);
  last_scrub_ns_ = now;
  const std::uint64_t per_page = kNsPerSecond / config_.scrub_pages;
  const std::size_t pages = scrub_debt_ns_ / per_page;
  if (pages == 0) return;
  scrub_debt_ns_ -= pages * per_page;
  auto next = handles_.upper_bound(next_scrub_);
  if (next == handles_.end()) next = handles_.begin();
  next_scrub_ = next->first;
  Handle& handle = *next->second;
  if (supervisor_.status(next->first).health != Health::working) return;
  scrubbed_ += pages;
  if (const auto damage = handle.scrub(pages)) {
    supervisor_.damaged(next->first,
                        fmt::format("code or constants at {:#x} ({}) are not as the "
                                    "image has them",
                                    *damage, handle.image().symbols().describe(*damage)));
  }
}

void Daemon::keep_books() {
  last_books_ns_ = now_ns_;
  const std::vector<std::uint64_t> changed = history_.take_changed();
  for (const std::uint64_t id : changed) {
    const Incident* const incident = history_.find(id);
    if (incident == nullptr || incident->outcome == Outcome::open) continue;
    if (!counted_.insert(id).second) continue;
    metrics_->count(*incident);
    if (incident->outcome == Outcome::stopped) {
      say(fmt::format("GIVEN UP: {}: {}: {}", incident->unit, incident->cause, incident->detail));
    }
  }
  if (const auto kept = history_file_.append(history_, changed); !kept) say(kept.error().text());
  for (const auto& [id, handle] : handles_)
    metrics_->show(supervisor_.info(id), supervisor_.status(id));
  metrics_->looked(looks_, scrubbed_);
}

void Daemon::log_console(Handle& handle) {
  const std::string text = handle.take_console();
  if (text.empty() || config_.console_folder.empty()) return;
  const std::string path = config_.console_folder + "/guest-" + handle.record().name + ".log";
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << text;
  file.close();
  if (!file) say("cannot write " + path);
}

}  // namespace ppvmm::root::daemon

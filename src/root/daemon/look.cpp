// What the daemon sees of its units, and when it looks.
#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "root/daemon/daemon.hpp"

namespace ppvmm::root::daemon {

void Daemon::take_events() {
  while (fired(waited_[0])) {
    const auto port = events_.take();
    if (!port || !*port) break;
    const auto talks = std::ranges::find_if(
        handles_, [&](const auto& entry) { return entry.second->talks_at(**port); });
    // A console is listened to again when it has been read: each line of a unikernel that is just
    // coming back would wake us, at its expense.
    if (talks != handles_.end()) {
      talking_.insert(talks->first);
    } else {
      events_.listen(**port);
    }
  }
  if (fired(waited_[1]) && registry_differs()) registry_changed();
}

/// Not by a record of a unit that we know, which is written by ourselves in the middle of repairs:
/// to read them all again takes longer than some of those.
bool Daemon::registry_differs() {
  constexpr std::string_view kRecord = ".json";
  bool differs = false;
  alignas(inotify_event) std::array<char, 4096> changes;
  ssize_t length = 0;
  while ((length = read(inotify_, changes.data(), changes.size())) > 0) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
      const auto* const change = reinterpret_cast<const inotify_event*>(changes.data() + at);
      at += sizeof(inotify_event) + change->len;
      std::string_view name = change->len == 0 ? std::string_view() : change->name;
      const bool record = name.ends_with(kRecord);
      if (record) name.remove_suffix(kRecord.size());
      const bool written = (change->mask & IN_MOVED_TO) != 0;
      const bool ours = written && (!record || supervisor_.find(name).has_value());
      differs = differs || !ours;
    }
  }
  return differs;
}

void Daemon::look() {
  ++looks_;
  // Twice the pace is what a look may be late without an excuse.
  const std::uint64_t elapsed = last_look_ns_ == 0 ? 0 : now_ns_ - last_look_ns_;
  judged_ns_ += std::min(elapsed, 2 * std::max(config_.pace_ns, kBusyPace));
  last_look_ns_ = now_ns_;
  if (look_at_fallen()) return;
  if (must_ask()) {
    ask_xen();
    return;
  }
  for (const auto& [id, handle] : handles_)
    look_at(id, handle->facts(), judged_ns_);
}

/// Who wrote a fault record is repaired before anything else is looked at. Xen need not be asked
/// about it: what it says would only confirm the record.
bool Daemon::look_at_fallen() {
  bool any = false;
  for (const auto& [id, handle] : handles_) {
    if (!handle->fell() || !handle->facts() || !handle->fault()) continue;
    const bool watched = supervisor_.status(id).phase == Phase::watching;
    if (!watched || !supervisor_.info(id).policy.detect) continue;
    look_at(id, handle->facts(), judged_ns_);
    any = true;
  }
  return any;
}

// Asking costs a hypercall through two system calls; memory that is mapped costs nothing.
bool Daemon::must_ask() {
  constexpr std::uint64_t kMostUnasked = 3;
  bool ask = woken_ || supervisor_.busy() || ++unasked_ >= kMostUnasked;
  for (const auto& [id, handle] : handles_)
    ask = handle->worth_asking() || ask;
  if (ask) unasked_ = 0;
  return ask;
}

void Daemon::ask_xen() {
  ++asked_;
  if (handles_.empty()) return;
  DomId first = kFirstReservedDomId;
  DomId last = 0;
  for (const auto& [id, handle] : handles_) {
    first = std::min(first, handle->record().built.domid);
    last = std::max(last, handle->record().built.domid);
  }
  // One call for all: guests' domains between ours cost less than a call for each.
  constexpr std::size_t kMostAtOnce = 64;
  const std::size_t at_once = std::min<std::size_t>(last - first + 1U, kMostAtOnce);
  std::vector<DomainFacts> facts;
  while (true) {
    const auto more = xen_.domains_from(first, at_once);
    facts.insert(facts.end(), more.begin(), more.end());
    if (more.size() < at_once || more.back().domid >= last) break;
    first = static_cast<DomId>(more.back().domid + 1);
  }
  for (const auto& [id, handle] : handles_) {
    const auto found = std::ranges::find(facts, handle->record().built.domid, &DomainFacts::domid);
    look_at(id, found == facts.end() ? std::nullopt : std::optional(*found), judged_ns_);
  }
}

void Daemon::look_at(UnitId id, const std::optional<DomainFacts>& facts, std::uint64_t now) {
  Handle& handle = *handles_.at(id);
  const Observation seen = handle.look(facts, now);
  supervisor_.observe(id, seen);
  if (handle.take_restored_header()) {
    history_.note(handle.record().name, "vitals restored",
                  "the head of its vitals page was overwritten", now_ns());
  }
  if (seen.state == abi::LifeState::dead && supervisor_.status(id).incident == 0) {
    if (const auto fault = handle.fault()) {
      const std::uint64_t fault_ns = handle.to_dom0(fault->time_ns);
      supervisor_.describe(id, {}, fault_ns);
      unworded_.insert_or_assign(id, std::pair(*fault, fault_ns));
    }
  }
  std::uint64_t gap = 0;
  const auto notices = handle.take_notices(gap);
  for (const NoticeSeen& notice : notices)
    supervisor_.notice(id, notice);
  if (gap != 0) {
    lost_notices_ += gap;
    history_.note(handle.record().name, "notices lost", fmt::format("{} of them", gap), now_ns());
  }
  // Which ones were seen is written down soon, so that a root that starts again does not act on
  // them twice; not now, when somebody may be waiting for a repair. Twice would be a repair too
  // many.
  if (!notices.empty()) unsaved_.insert(id);
}

}  // namespace ppvmm::root::daemon

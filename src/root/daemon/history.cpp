#include "root/daemon/history.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::root::daemon {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::open:
      return "open";
    case Outcome::repaired:
      return "repaired";
    case Outcome::stopped:
      return "stopped";
    case Outcome::noted:
      return "noted";
  }
  return "unknown";
}

std::uint64_t History::open(std::string unit, std::string cause, std::string detail,
                            std::uint64_t seen_ns) {
  Incident incident;
  incident.id = next_++;
  incident.unit = std::move(unit);
  incident.cause = std::move(cause);
  incident.detail = std::move(detail);
  incident.seen_ns = seen_ns;
  const auto blamed = std::ranges::find(unseen_, incident.unit, &Injection::unit);
  if (blamed != unseen_.end()) {
    incident.injected_what = blamed->what;
    incident.injected_ns = blamed->at_ns;
    unseen_.erase(blamed);
  }
  incidents_.push_back(std::move(incident));
  if (incidents_.size() > kKept) incidents_.pop_front();
  mark(incidents_.back().id);
  return incidents_.back().id;
}

void History::note(std::string unit, std::string cause, std::string detail, std::uint64_t now_ns) {
  Incident incident;
  incident.id = next_++;
  incident.unit = std::move(unit);
  incident.cause = std::move(cause);
  incident.detail = std::move(detail);
  incident.seen_ns = now_ns;
  incident.outcome = Outcome::noted;
  incidents_.push_back(std::move(incident));
  if (incidents_.size() > kKept) incidents_.pop_front();
  mark(incidents_.back().id);
}

Incident* History::change(std::uint64_t id) {
  const auto found = std::ranges::lower_bound(incidents_, id, {}, &Incident::id);
  if (found == incidents_.end() || found->id != id) return nullptr;
  mark(id);
  return &*found;
}

const Incident* History::find(std::uint64_t id) const {
  const auto found = std::ranges::lower_bound(incidents_, id, {}, &Incident::id);
  return found == incidents_.end() || found->id != id ? nullptr : &*found;
}

void History::injected(const std::string& unit, std::string what, std::uint64_t at_ns) {
  // The injector reports after the deed, and root may have been quicker.
  for (Incident& incident : incidents_) {
    if (incident.unit != unit || incident.outcome == Outcome::noted) continue;
    if (incident.injected_ns != 0 || incident.seen_ns < at_ns) continue;
    incident.injected_ns = at_ns;
    incident.injected_what = std::move(what);
    mark(incident.id);
    return;
  }
  unseen_.push_back({unit, std::move(what), at_ns});
  if (unseen_.size() > kUnseenKept) unseen_.erase(unseen_.begin());
}

const Incident* History::last_of(std::string_view unit) const {
  const auto found = std::ranges::find_if(
      incidents_.rbegin(), incidents_.rend(),
      [&](const Incident& each) { return each.unit == unit && each.outcome != Outcome::noted; });
  return found == incidents_.rend() ? nullptr : &*found;
}

std::vector<std::uint64_t> History::take_changed() {
  return std::exchange(changed_, {});
}

void History::restore(Incident incident) {
  next_ = std::max(next_, incident.id + 1);
  const auto place = std::ranges::lower_bound(incidents_, incident.id, {}, &Incident::id);
  if (place != incidents_.end() && place->id == incident.id) {
    *place = std::move(incident);
  } else {
    incidents_.insert(place, std::move(incident));
    if (incidents_.size() > kKept) incidents_.pop_front();
  }
}

void History::mark(std::uint64_t id) {
  if (std::ranges::find(changed_, id) == changed_.end()) changed_.push_back(id);
}

}  // namespace ppvmm::root::daemon

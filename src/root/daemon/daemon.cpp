#include "root/daemon/daemon.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <utility>

#include "root/scheduler.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
/// While a repair is under way: what is waited for announces itself, but for the end of a domain.
/// Looking takes processor time from whoever is to be repaired.
constexpr std::uint64_t kBusyPace = 2 * kNsPerMs;
constexpr std::uint64_t kPollPace = kNsPerMs / 2;
/// Consoles and records wait for the end of a repair, but not longer than this.
constexpr std::uint64_t kChoresPace = 20 * kNsPerMs;
/// What is not needed for a new domain to serve is done when it has been there for so long.
constexpr std::uint64_t kSettled = 50 * kNsPerMs;
/// For so long the backups of a primary that comes back are held at most.
constexpr std::uint64_t kLongestHold = 100 * kNsPerMs;
/// Files and metrics are brought up to date this often, and never in the middle of a repair.
constexpr std::uint64_t kBooksPace = 20 * kNsPerMs;
/// The supervisor asks for little; a loop longer than this is a mistake of ours, not work.
constexpr int kMostRounds = 64;

}  // namespace

Daemon::Daemon(Config config, std::string state_dir, Xen xen, Events events, Control control,
               std::unique_ptr<Metrics> metrics)
    : config_(std::move(config)),
      state_dir_(std::move(state_dir)),
      xen_(std::move(xen)),
      events_(std::move(events)),
      control_(std::move(control)),
      metrics_(std::move(metrics)),
      registry_(state_dir_),
      history_file_(state_dir_ + "/history.jsonl"),
      supervisor_(history_),
      started_ns_(now_ns()) {
  constexpr std::uint32_t kFew = 4;
  crowded_ = xen_.processors() <= kFew;
}

Daemon::~Daemon() {
  handles_.clear();
  if (inotify_ >= 0) close(inotify_);
}

Result<std::unique_ptr<Daemon>> Daemon::start(Config config, std::string state_dir) {
  auto xen = Xen::open();
  if (!xen) return std::unexpected(xen.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  auto control = Control::listen(state_dir + "/" + kSocketName);
  if (!control) return std::unexpected(control.error());
  auto metrics = Metrics::serve(config.metrics);
  if (!metrics) return std::unexpected(metrics.error());
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(state_dir),
                                            std::move(*xen), std::move(*events),
                                            std::move(*control), std::move(*metrics)));
  // Deaths of domains come here while no XenStore domain has them routed to itself, and again from
  // the moment that domain is destroyed. Another daemon may hold the port: then looking must do.
  if (const auto bound = daemon->events_.bind_domain_exceptions(); !bound) {
    daemon->say("domain deaths are only seen by looking: " + bound.error().text());
  }
  if (const auto set = wake_at_once(daemon->xen_); !set) {
    daemon->say("the scheduler is left as it is: " + set.error().text());
  }
  if (const auto loaded = daemon->history_file_.load(daemon->history_); !loaded) {
    return std::unexpected(loaded.error());
  }
  daemon->inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (daemon->inotify_ < 0 || inotify_add_watch(daemon->inotify_, daemon->state_dir_.c_str(),
                                                IN_MOVED_TO | IN_DELETE) < 0) {
    return failed("watch " + daemon->state_dir_);
  }
  daemon->registry_changed();
  return daemon;
}

void Daemon::say(const std::string& line) {
  fmt::print(stderr, "ppvmm-root: {}\n", line);
}

void Daemon::registry_changed() {
  const std::vector<Record> records = registry_.all();
  std::vector<UnitId> gone;
  for (const auto& [id, handle] : handles_) {
    if (std::ranges::find(records, handle->record().name, &Record::name) == records.end()) {
      gone.push_back(id);
    }
  }
  for (const UnitId id : gone)
    release(id);
  for (const Record& record : records) {
    if (!supervisor_.find(record.name)) adopt(record);
  }
}

Result<std::shared_ptr<const Image>> Daemon::image_for(const Record& record) {
  if (auto known = images_[record.image_hash].lock()) return known;
  // The file may have been replaced since; what runs was made from a copy that root keeps.
  const std::string folder = state_dir_ + "/images";
  const std::string copy = fmt::format("{}/{:016x}", folder, record.image_hash);
  auto image = Image::load(record.image_path);
  if (!image || image->hash() != record.image_hash) image = Image::load(copy);
  if (!image) return std::unexpected(image.error());
  if (image->hash() != record.image_hash) {
    return refused(record.image_path + " is not the file it was built from, nor is " + copy);
  }
  std::error_code code;
  if (!std::filesystem::exists(copy, code)) {
    std::filesystem::create_directories(folder, code);
    std::filesystem::copy_file(record.image_path, copy, code);
    if (code) say("keep a copy of " + record.image_path + ": " + code.message());
  }
  auto shared = std::make_shared<const Image>(std::move(*image));
  images_[record.image_hash] = shared;
  return shared;
}

void Daemon::adopt(const Record& record) {
  const auto refuse = [&](const std::string& why) {
    if (std::exchange(refused_[record.name], why) != why) {
      say(record.name + " is not supervised: " + why);
    }
  };
  const auto image = image_for(record);
  if (!image) {
    refuse(image.error().text());
    return;
  }
  auto handle = std::make_unique<Handle>(xen_, events_, record, *image, state_dir_);
  const auto facts = xen_.domain(record.built.domid);
  const auto held = handle->take_hold();
  if (!held && facts && !facts->dying && !record.rebuilding) {
    // Somebody else's by now: to "repair" it would be to destroy it.
    refuse(fmt::format("domain {} is not the one that was started: {}", record.built.domid,
                       held.error().text()));
    return;
  }
  refused_.erase(record.name);
  const bool lone = record.spec.xenstore && record.place.role == SetRole::none;
  UnitInfo info{.name = record.name,
                .domid = record.built.domid,
                .xenstore = record.spec.xenstore,
                .place = record.place,
                .rebuilding = record.rebuilding,
                .policy = config_.policy_for(record.name, lone),
                .driver_domain = record.spec.bus || record.adopted,
                .bus = record.spec.bus};
  if (record.adopted) info.policy.limits.rebuilds = 0;
  const auto unit = config_.units.find(record.name);
  if (unit != config_.units.end() && unit->second.after) {
    info.after = *unit->second.after;
  } else if (!record.spec.xenstore && record.place.role == SetRole::none) {
    for (const Record& each : registry_.all()) {
      if (each.spec.xenstore) info.after.push_back(each.name);
    }
  }
  if (info.driver_domain) handle->order_words(info.policy.words);
  const UnitId id = supervisor_.add(std::move(info), now_ns());
  handles_.emplace(id, std::move(handle));
  say(fmt::format("supervising {} (domain {}, policy {})", record.name, record.built.domid,
                  supervisor_.info(id).policy.name));
}

void Daemon::release(UnitId id) {
  const std::string name = handles_.at(id)->record().name;
  supervisor_.remove(id);
  handles_.erase(id);
  metrics_->forget(name);
  say("let go of " + name);
}

Result<void> Daemon::run(const volatile std::sig_atomic_t& stop) {
  while (stop == 0) {
    const std::uint64_t before = now_ns();
    if (now_ns_ != 0) {
      last_turn_ns_ = before - now_ns_;
      working_ns_ += last_turn_ns_;
    }
    wait();
    now_ns_ = now_ns();
    take_events();
    tend_errands();
    look();
    carry_out();
    end_stillness();
    const bool at_rest = !supervisor_.busy() && !stillness_.any();
    if (at_rest || now_ns_ - last_chores_ns_ >= kChoresPace) do_chores();
    const auto to_control = std::span(waited_).subspan(2);
    if (std::ranges::any_of(to_control, fired)) {
      control_.serve([this](const auto& question) { return answer(question); });
    }
    if (supervisor_.busy()) continue;
    scrub();
    if (now_ns_ - last_books_ns_ >= kBooksPace) keep_books();
  }
  do_chores();
  keep_books();
  return {};
}

void Daemon::wait() {
  waited_.clear();
  waited_.push_back({.fd = events_.descriptor(), .events = POLLIN, .revents = 0});
  waited_.push_back({.fd = inotify_, .events = POLLIN, .revents = 0});
  control_.add_to(waited_);
  // At real-time priority it must not eat the processor, however slow that is: a turn is followed
  // by a rest of several times its length, and of its own length while there is a repair.
  constexpr std::uint64_t kRest = 6;
  const std::uint64_t pace = supervisor_.must_poll() ? std::max(kPollPace, last_turn_ns_)
                             : supervisor_.busy()
                                 ? std::max(kBusyPace, kRest * last_turn_ns_)
                                 : std::max(config_.pace_ns, kRest * last_turn_ns_);
  const timespec limit{.tv_sec = static_cast<time_t>(pace / kNsPerSecond),
                       .tv_nsec = static_cast<long>(pace % kNsPerSecond)};
  // A signal only means that `stop` may be set now.
  woken_ = ppoll(waited_.data(), waited_.size(), &limit, nullptr) != 0;
}

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
  if (!fired(waited_[1])) return;
  std::array<char, 4096> changes;
  while (read(inotify_, changes.data(), changes.size()) > 0) {
  }
  registry_changed();
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
      static_cast<void>(handle->complete_hold());
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
  if (ended.ok && ended.what == "leave") return;
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

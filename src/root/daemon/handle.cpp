#include "root/daemon/handle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "root/observe.hpp"
#include "root/rebuild.hpp"
#include "root/scheduler.hpp"
#include "root/xen_headers.hpp"

namespace ppvmm::root::daemon {
namespace {

/// Is an event raised for the domain that it does not mask? Read from its shared info page
/// (public/xen.h): the two-level bitmaps.
bool event_pending(const Mapping& shared_info) {
  if (shared_info.bytes().empty()) return false;
  const auto* const shared =
      reinterpret_cast<const volatile shared_info_t*>(shared_info.bytes().data());
  for (std::size_t i = 0; i < std::size(shared->evtchn_pending); ++i) {
    if ((shared->evtchn_pending[i] & ~shared->evtchn_mask[i]) != 0) return true;
  }
  return false;
}

Acted done(std::uint32_t serial = 0) {
  return {.ok = true, .problem = {}, .serial = serial};
}

Acted not_done(const Failure& failure) {
  return {.ok = false, .problem = failure.text(), .serial = 0};
}

}  // namespace

Result<void> Handle::take_first_hold() {
  let_go();
  auto vitals = VitalsView::map(*xen_, *image_, record_.built);
  if (!vitals) return std::unexpected(vitals.error());
  vitals_ = std::move(*vitals);
  held_since_ns_ = now_ns();
  // Under another scheduler everything works, only slower; the daemon has said so.
  static_cast<void>(favour(*xen_, record_.built.domid));
  return {};
}

Result<void> Handle::complete_hold() {
  auto reboot = Microreboot::prepare(*xen_, *image_, record_.built);
  if (!reboot) return std::unexpected(reboot.error());
  const auto facts = xen_->domain(record_.built.domid);
  if (!facts) return refused("the domain went away");
  const std::array<Mfn, 1> frame{facts->shared_info};
  auto shared = xen_->map(record_.built.domid, frame, Access::read);
  if (!shared) return std::unexpected(shared.error());
  if (record_.console && !console_) {
    auto console = ConsoleReader::map(*xen_, record_.built);
    if (!console) return std::unexpected(console.error());
    console_ = std::move(*console);
    if (const auto port = events_->bind(record_.built.domid, record_.built.console_port)) {
      console_port_ = *port;
    }
  }
  reboot_ = std::move(*reboot);
  shared_info_ = std::move(*shared);
  // Mapped before it is needed: when there is a fault to date, time is short.
  if (auto clock = XenClock::map(*xen_, record_.built.domid)) clock_ = std::move(*clock);
  return {};
}

Result<void> Handle::take_hold() {
  if (auto first = take_first_hold(); !first) return first;
  if (auto rest = complete_hold(); !rest) {
    let_go();
    return rest;
  }
  link_up();
  return {};
}

void Handle::let_go() {
  vitals_.reset();
  was_plausible_ = false;
  reboot_.reset();
  clock_.reset();
  console_.reset();
  shared_info_ = Mapping();
  if (link_) events_->unbind(*link_);
  if (console_port_) events_->unbind(*console_port_);
  link_.reset();
  console_port_.reset();
  linked_to_ = 0;
}

void Handle::inherit() {
  constexpr int kMostPauses = 64;
  inherited_ = true;
  if (!vitals_ || vitals_->state() != abi::LifeState::ready) return;
  furnish();  // the earlier root may have ended before it was
  for (int i = 0; i < kMostPauses; ++i) {
    const auto facts = xen_->domain(record_.built.domid);
    if (!facts || !facts->paused || !xen_->unpause(record_.built.domid)) return;
  }
}

Observation Handle::look(const std::optional<DomainFacts>& facts, std::uint64_t now_ns) {
  facts_ = facts;
  Observation seen;
  seen.now_ns = now_ns;
  seen.exists = facts.has_value();
  if (!facts) return seen;
  if (!held()) {
    // There, but not to be looked into: it is going, or it is not ours.
    seen.stopped = seen.dying = true;
    return seen;
  }
  abi::Vitals page = vitals_->page();
  if (plausible(page)) {
    was_plausible_ = true;
  } else if (was_plausible_) {
    // A wild write. Without the head we would believe nothing of what it says, its own fault record
    // included, and its next life nothing of what survived.
    vitals_->restore_header();
    restored_header_ = true;
    page = vitals_->page();
  }
  seen = observation_of(*facts, page, now_ns);
  seen.pending = event_pending(shared_info_);
  if (now_ns < tolerate_until_ns_) seen.paused = seen.blocked = false;
  if (!link_) link_up();
  return seen;
}

bool Handle::worth_asking() {
  if (!vitals_ || !facts_ || facts_->dying || facts_->shut_down) return true;
  const abi::Vitals page = vitals_->page();
  std::uint64_t moved = page.counts.events;
  for (const abi::Progress& part : page.progress)
    moved += part.count;
  const bool has_moved = std::exchange(moved_, moved) != moved;
  if (page.state != abi::LifeState::ready || page.orders.ping != page.pong) return true;
  return !has_moved && (page.asleep == 0 || event_pending(shared_info_));
}

void Handle::link_up() {
  if (!vitals_) return;
  const abi::Vitals page = vitals_->page();
  if (!plausible(page) || page.supervisor_port == 0 || page.supervisor_port == linked_to_) return;
  if (const auto port = events_->bind(record_.built.domid, page.supervisor_port)) {
    link_ = *port;
    linked_to_ = page.supervisor_port;
  }
}

std::uint64_t Handle::to_dom0(std::uint64_t xen_ns) {
  if (xen_ns == 0) return 0;
  if (!clock_) {
    auto clock = XenClock::map(*xen_, record_.built.domid);
    if (!clock) return 0;
    clock_ = std::move(*clock);
  }
  // Both clocks are read now, so that what one drifts against the other since boot does not count.
  const std::uint64_t age = clock_->now() - xen_ns;
  const std::uint64_t now = now_ns();
  return age < now ? now - age : 0;
}

std::vector<NoticeSeen> Handle::take_notices(std::uint64_t& gap) {
  std::vector<NoticeSeen> fresh;
  if (!vitals_ || vitals_->notices_posted() == record_.notices_seen) return fresh;
  const abi::Vitals page = vitals_->page();
  if (!plausible(page)) return fresh;
  const std::uint64_t newest = page.notices_posted;
  // A number below what was seen is a broken or a new page: start from there.
  if (newest < record_.notices_seen) record_.notices_seen = 0;
  if (newest == record_.notices_seen) return fresh;
  std::uint64_t next = record_.notices_seen + 1;
  if (newest - record_.notices_seen > abi::kNotices) {
    gap += newest - record_.notices_seen - abi::kNotices;
    next = newest - abi::kNotices + 1;
  }
  for (; next <= newest; ++next) {
    const abi::Notice& notice = page.notices[next % abi::kNotices];
    if (notice.number != next) continue;  // overwritten, or being written: it will be counted anew
    fresh.push_back({.time_ns = to_dom0(notice.time_ns),
                     .kind = notice.kind,
                     .subject = notice.subject,
                     .value = notice.value});
  }
  record_.notices_seen = newest;
  return fresh;
}

std::optional<abi::Fault> Handle::fault() const {
  if (!vitals_) return std::nullopt;
  const abi::Vitals page = vitals_->page();
  const abi::Fault& fault = page.fault;
  if (fault.kind == abi::FaultKind::none || fault.incarnation != page.incarnation) {
    return std::nullopt;
  }
  return fault;
}

std::string Handle::words_of(const abi::Fault& fault) const {
  std::string text(root::name_of(fault.kind));
  if (fault.kind == abi::FaultKind::trap || fault.kind == abi::FaultKind::nested_trap) {
    text += fmt::format(" {}", fault.vector);
  }
  text += " at " + image_->symbols().describe(fault.rip);
  const std::string message = field_text({fault.message.data(), fault.message.size()});
  return message.empty() ? text : text + ": " + message;
}

void Handle::ping() {
  if (!vitals_) return;
  vitals_->order_ping(vitals_->page().orders.ping + 1);
  nudge();
}

void Handle::nudge() {
  // A notification that fails finds a domain that is going; the next look sees that.
  if (link_) static_cast<void>(events_->notify(*link_));
}

Acted Handle::microreboot(const Action& action) {
  if (!wholly_held()) {
    if (const auto held_now = take_hold(); !held_now) return not_done(held_now.error());
  }
  // What the unikernel could not record itself is recorded for it.
  if (action.cause == abi::FaultKind::hang || action.cause == abi::FaultKind::hard) {
    if (const auto rip = xen_->instruction_pointer(record_.built.domid)) {
      vitals_->record_end(action.cause, *rip);
    }
  }
  vitals_->order_words(action.words);
  // One that wrote a fault record was not held by anybody at that time.
  const bool held_by_others =
      std::exchange(inherited_, false) || action.cause == abi::FaultKind::hang ||
      action.cause == abi::FaultKind::hard || action.cause == abi::FaultKind::none;
  auto report = reboot_->enter(action.cause, *vitals_, *events_, link_, held_by_others);
  if (!report) return not_done(report.error());
  reboot_report_ = *report;
  return done();
}

void Handle::order_words(const std::string& words) {
  if (vitals_) vitals_->order_words(words);
}

void Handle::move_to(const std::string& other) {
  errands_.add({.what = "move", .words = fmt::format("move {} {}", record_.name, other)});
}

Acted Handle::destroy() {
  const std::uint64_t begin = now_ns();
  let_go();
  const std::uint64_t free = now_ns();
  const bool there = xen_->domain(record_.built.domid).has_value();
  const auto gone = there ? xen_->destroy(record_.built.domid) : Result<void>{};
  if (record_.spec.bus) {
    for (const char* const begun : {"join", "leave", "home"})
      errands_.drop(begun);
    errands_.add({.what = "leave", .words = "leave " + record_.name});
  }
  rebuild_report_ = {.let_go_ns = free - begin, .destroy_ns = now_ns() - free};
  return gone ? done() : not_done(gone.error());
}

Acted Handle::build(const Action& action) {
  const std::uint64_t begin = now_ns();
  record_.spec = spec_of_rebuild(record_);
  auto built = build_in_place(*xen_, *image_, record_.spec);
  if (!built) return not_done(built.error());
  const std::uint64_t there = now_ns();
  record_.built = std::move(*built);
  record_.notices_seen = 0;
  ++record_.rebuilds;
  // To map all of it takes as long as its start, and is not needed before the next fault.
  if (const auto held_now = take_first_hold(); !held_now) return not_done(held_now.error());
  std::uint32_t serial = 0;
  if (action.command != 0) serial = vitals_->order_command(action.command, action.subject);
  vitals_->order_words(action.words);
  if (!rebuild_report_) rebuild_report_ = RebuildReport{};
  rebuild_report_->build_ns = there - begin;
  rebuild_report_->hold_ns = now_ns() - there;
  if (record_.spec.bus) {
    errands_.add({.what = "join", .words = "join " + record_.name});
    return done(serial);
  }
  if (const auto on = let_run(); !on) return not_done(on.error());
  return done(serial);
}

void Handle::furnish() {
  if (record_.spec.bus) errands_.add({.what = "home", .words = "home " + record_.name});
}

Acted Handle::command(const Action& action) {
  if (!held()) return {.ok = false, .problem = "its domain is not there", .serial = 0};
  const std::uint32_t serial = vitals_->order_command(action.command, action.subject);
  nudge();
  return done(serial);
}

std::optional<std::uint64_t> Handle::scrub(std::size_t pages) {
  return reboot_ ? reboot_->scrub(pages) : std::nullopt;
}

std::string Handle::take_console() {
  if (!console_) return {};
  if (console_port_) events_->listen(*console_port_);
  std::string text = console_->take();
  if (!text.empty() && console_port_) static_cast<void>(events_->notify(*console_port_));
  return text;
}

}  // namespace ppvmm::root::daemon

#include "uk/xenstore/server.hpp"

#include <utility>

#include "abi/hypercall.hpp"
#include "kernel/console.hpp"
#include "kernel/image.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "uk/xenstore/log.hpp"
#include "uk/xenstore/notices.hpp"

namespace ppvmm::xenstore {
namespace {

constexpr store::DomId kDom0 = 0;
/// Requests in one pass, before events are looked at again.
constexpr std::uint64_t kPassBudget = 64;
/// How much of a region is filled between two passes.
constexpr std::uint64_t kFillBytes = std::uint64_t{64} * 1024;
/// When a full log, or a fact that found no room in it, is tried again.
constexpr kernel::Nanoseconds kRetry = kernel::time::kMillisecond;

std::uint64_t now_in_ms() {
  return kernel::time::now() / kernel::time::kMillisecond;
}

}  // namespace

Server::Server(const Settings& settings, RemoteRegions& regions, Beginning beginning,
               DomainFacts facts, std::uint64_t key)
    : settings_(settings),
      regions_(regions),
      primary_(std::move(beginning.state), std::move(beginning.set),
               {.geometry = settings.geometry, .key = key, .whole = &kernel::image::whole}),
      facts_(facts),
      timer_(kernel::time::timers(), &Server::on_timer, this),
      pulse_(kernel::time::timers(), &Server::on_pulse, this),
      component_(kernel::vitals::component("store")) {
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    if (beginning.to_fill[i]) refill(i);
  }
}

std::expected<void, store::IntroduceResult> Server::attach_dom0() {
  auto link = GuestLink::attach(kDom0, settings_.dom0_grant, settings_.dom0_port);
  if (!link) return std::unexpected(link.error());
  // Nobody's log can be full yet.
  (void)primary_.connect(kDom0, settings_.dom0_grant, settings_.dom0_port, (*link)->page());
  listen(std::move(*link));
  return {};
}

void Server::resume_guests(bool stale) {
  recall_doubt();
  const auto seats = primary_.replica().ledger().seats();
  const std::vector<replication::Seat> all(seats.begin(), seats.end());
  for (const replication::Seat& seat : all) {
    const abi::GrantRef grant =
        seat.domid == kDom0 ? settings_.dom0_grant : GNTTAB_RESERVED_XENSTORE;
    auto link = GuestLink::resume(seat.domid, grant, seat.ring.port);
    if (!link) {
      // Dead, most likely; the check of all domains that follows tells the store.
      kernel::log(kernel::Level::warning, "domain ", seat.domid, " cannot be attached again");
      if (facts_.state_of(seat.domid) != DomainState::dead) {
        post(Notice::connection_failed, seat.domid);
      }
      continue;
    }
    (void)primary_.adopt(seat.domid, (*link)->page());
    // Should the log be full, which it is not after a rebirth, the ring is given up and reported.
    if (stale) (void)primary_.go_on_at_ring(seat.domid);
    listen(std::move(*link));
  }
  domains_changed_ = true;
}

void Server::lose_requests() {
  const std::uint64_t lost = primary_.lose_requests();
  if (lost != 0) kernel::log(kernel::Level::warning, "lost on purpose: ", lost, " requests");
}

std::expected<void, kernel::events::Error> Server::watch_domains() {
  const auto port = kernel::events::bind_virq(VIRQ_DOM_EXC);
  if (!port) return std::unexpected(port.error());
  kernel::events::handle(*port, &Server::on_domain_exception, this);
  return {};
}

void Server::fill_backups() {
  now_ms_ = now_in_ms();
  (void)primary_.advance(now_ms_);
  while (primary_.maintain(settings_.geometry.checkpoint_bytes)) {
  }
  filling_ = false;
  pass_on_reports();
}

void Server::obey() {
  const kernel::Nanoseconds period = settings_.scrub_ms * kernel::time::kMillisecond;
  pulse_.periodic(kernel::time::now() + period, period);
  kernel::vitals::on_command(&Server::on_command, this);
}

kernel::task::Task<> Server::serve() {
  while (true) {
    while (!work_waits())
      co_await work_.wait();
    pass();
    // Events that came meanwhile are taken before the next pass.
    if (work_waits()) co_await kernel::task::Reschedule{};
  }
}

// --- What happens to us

void Server::on_guest(void* guest, abi::Port) {
  auto& self = *static_cast<Guest*>(guest);
  self.server->primary_.kick(self.link->domid());
  self.server->kicked_ = true;
  self.server->work_.announce();
}

void Server::on_domain_exception(void* server, abi::Port) {
  auto& self = *static_cast<Server*>(server);
  self.domains_changed_ = true;
  self.work_.announce();
}

void Server::on_timer(void* server) {
  auto& self = *static_cast<Server*>(server);
  self.time_is_due_ = true;
  self.work_.announce();
}

void Server::on_pulse(void* server) {
  auto& self = *static_cast<Server*>(server);
  self.pulse_is_due_ = true;
  self.work_.announce();
}

// --- One pass

void Server::pass() {
  kicked_ = false;
  // Seen by root if we never come to the end of this pass.
  kernel::vitals::waiting(component_, 1);
  if (pulse_is_due_) primary_.kick_all();
  tell_time();
  report_introductions();
  const bool recheck = std::exchange(recheck_, false);
  if (std::exchange(domains_changed_, false) || recheck) check_all();
  const auto run = primary_.run(kPassBudget);
  carry_out_effects();
  end_if_corrupt();
  if (pulse_is_due_ && run == replication::Primary::Run::idle && primary_.neglects()) {
    kernel::panic("a ring was passed over", abi::FaultKind::corruption);
  }
  notify_guests();
  kernel::vitals::progress(component_);
  if (run == replication::Primary::Run::more) kicked_ = true;
  if (filling_) filling_ = primary_.maintain(kFillBytes);
  if (std::exchange(pulse_is_due_, false)) idle_checks();
  pass_on_reports();
  write_log(primary_.machine());
  arm_timer(run);
  kernel::vitals::waiting(component_, work_waits() ? 1 : 0);
}

void Server::tell_time() {
  const std::uint64_t now = now_in_ms();
  if (now == now_ms_ && !time_is_due_) return;
  time_is_due_ = false;
  now_ms_ = now;
  // With a full log the clock goes on all the same; what is due is done when there is room.
  (void)primary_.advance(now);
}

void Server::notify_guests() {
  for (const store::DomId domid : primary_.take_notifications()) {
    const auto guest = guests_.find(domid);
    if (guest != guests_.end()) notifier_.add(guest->second.link->port());
  }
  if (notifier_.empty()) return;
  notifier_.flush();
  if (!std::exchange(served_, true)) {
    kernel::vitals::lap("serving");
    post(Notice::serving, 0, kernel::time::now() - kernel::vitals::page().entry_ns);
  }
}

void Server::arm_timer(replication::Primary::Run run) {
  std::optional<kernel::Nanoseconds> deadline;
  if (const auto due = primary_.machine().next_deadline_ms()) {
    deadline = *due * kernel::time::kMillisecond;
  }
  if (run == replication::Primary::Run::log_full || !unreported_.empty() || recheck_) {
    deadline = kernel::time::now() + kRetry;
  }
  if (!deadline) {
    timer_.cancel();
  } else if (!timer_.armed() || timer_.deadline() != *deadline) {
    timer_.once(*deadline);
  }
}

// --- Domains

void Server::carry_out_effects() {
  // Carrying out an effect may bring forth others.
  for (auto effects = primary_.take_effects(); !effects.empty();
       effects = primary_.take_effects()) {
    for (const store::Effect& effect : effects) {
      switch (effect.kind) {
        case store::Effect::Kind::attach_domain:
          attach(effect);
          break;
        case store::Effect::Kind::detach_domain:
          detach(effect.domid);
          break;
        case store::Effect::Kind::reset_ring:
          break;  // the primary does it
      }
    }
  }
}

void Server::attach(const store::Effect& effect) {
  auto link = GuestLink::attach(effect.domid, GNTTAB_RESERVED_XENSTORE, effect.port);
  if (link) {
    unreported_.push_back({effect.domid, store::IntroduceResult::attached, std::move(*link)});
  } else {
    kernel::log(kernel::Level::warning, "domain ", effect.domid, " cannot be attached: ",
                link.error() == store::IntroduceResult::bad_ring ? "its ring page is not granted"
                                                                 : "its port cannot be bound");
    unreported_.push_back({effect.domid, link.error(), nullptr});
  }
  report_introductions();
}

void Server::report_introductions() {
  while (!unreported_.empty()) {
    Unreported& first = unreported_.front();
    const auto page = first.link ? first.link->page() : replication::SharedMemory{};
    if (!primary_.introduced(first.domid, first.result, page)) return;
    const store::DomId domid = first.domid;
    auto link = std::move(first.link);
    unreported_.erase(unreported_.begin());
    if (link == nullptr) continue;
    listen(std::move(link));
    kicked_ = true;
    // It may have died between its creation and now, unnoticed.
    if (!check(domid)) recheck_ = true;
  }
}

void Server::listen(std::unique_ptr<GuestLink> link) {
  const store::DomId domid = link->domid();
  Guest& guest = guests_[domid];
  guest = {.server = this, .link = std::move(link)};
  kernel::events::handle(guest.link->port(), &Server::on_guest, &guest);
  // A guest that slept through our start must be woken; one that spoke already must be heard.
  primary_.kick(domid);
  kicked_ = true;
  notifier_.add(guest.link->port());
}

void Server::detach(store::DomId domid) {
  guests_.erase(domid);
}

bool Server::check(store::DomId domid) {
  switch (facts_.state_of(domid)) {
    case DomainState::alive:
      return true;
    case DomainState::shut_down:
      return primary_.domain_shutdown(domid);
    case DomainState::dead:
      return primary_.domain_dead(domid);
  }
  return true;
}

void Server::check_all() {
  for (const store::DomId domid : primary_.machine().known_domains()) {
    if (domid != kDom0 && !check(domid)) recheck_ = true;
  }
}

}  // namespace ppvmm::xenstore

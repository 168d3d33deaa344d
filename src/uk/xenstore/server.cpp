#include "uk/xenstore/server.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/time.hpp"
#include "store/ring_link.hpp"

namespace ppvmm::xenstore {
namespace {

constexpr store::DomId kDom0 = 0;

kernel::Level level_of(store::LogRecord::Level level) {
  switch (level) {
    // The machine writes these only while somebody asked for them (`xenstore-control log on`).
    case store::LogRecord::Level::debug:
    case store::LogRecord::Level::info:
      return kernel::Level::info;
    case store::LogRecord::Level::warning:
      return kernel::Level::warning;
    case store::LogRecord::Level::error:
      return kernel::Level::error;
  }
  return kernel::Level::error;
}

}  // namespace

Server::Server(store::Options options, DomainFacts facts)
    : machine_(std::move(options)),
      facts_(facts),
      timer_(kernel::time::timers(), &Server::on_deadline, this),
      component_(kernel::vitals::component("store")) {}

std::expected<void, store::IntroduceResult> Server::attach_dom0(abi::GrantRef grant,
                                                                abi::Port port) {
  auto link = GuestLink::attach(kDom0, grant, port);
  if (!link) return std::unexpected(link.error());
  static_cast<void>(machine_.connect_domain(kDom0, 0, port));
  adopt(std::move(*link));
  return {};
}

std::expected<void, kernel::events::Error> Server::watch_domains() {
  const auto port = kernel::events::bind_virq(VIRQ_DOM_EXC);
  if (!port) return std::unexpected(port.error());
  kernel::events::handle(*port, &Server::on_domain_exception, this);
  return {};
}

kernel::task::Task<> Server::serve() {
  while (true) {
    while (queue_.empty() && !domains_changed_ && !deadline_passed_)
      co_await work_.wait();
    pass();
    // Events that came meanwhile are taken before the next pass.
    if (!queue_.empty()) co_await kernel::task::Reschedule{};
  }
}

void Server::on_guest(void* guest, abi::Port) {
  auto& self = *static_cast<Guest*>(guest);
  self.server->enqueue(self);
}

void Server::on_domain_exception(void* server, abi::Port) {
  auto& self = *static_cast<Server*>(server);
  self.domains_changed_ = true;
  self.work_.announce();
}

void Server::on_deadline(void* server) {
  auto& self = *static_cast<Server*>(server);
  self.deadline_passed_ = true;
  self.work_.announce();
}

void Server::enqueue(Guest& guest) {
  if (std::exchange(guest.queued, true)) return;
  queue_.push_back(guest.link->domid());
  work_.announce();
}

void Server::owe(Guest& guest) {
  if (std::exchange(guest.owed, true)) return;
  owed_.push_back(guest.link->domid());
  notifier_.add(guest.link->port());
}

void Server::pass() {
  tell_time();
  if (std::exchange(domains_changed_, false)) check_all();
  serving_.swap(queue_);
  for (const store::DomId domid : serving_) {
    const auto found = guests_.find(domid);
    if (found != guests_.end()) serve_one(found->second);
  }
  serving_.clear();
  settle();
  notifier_.flush();
  for (auto& [domid, guest] : guests_)
    guest.owed = false;
  arm_timer();
  kernel::vitals::waiting(component_, queue_.size());
}

void Server::serve_one(Guest& guest) {
  guest.queued = false;
  const store::Service service = store::serve(machine_, guest.link->domid(), guest.link->ring());
  if (service.notify) owe(guest);
  if (service.again) enqueue(guest);
  kernel::vitals::progress(component_);
  settle();  // may end this guest
}

void Server::settle() {
  // Carrying out an effect may bring forth others, and work for other guests.
  for (auto effects = machine_.take_effects(); !effects.empty();
       effects = machine_.take_effects()) {
    for (const store::Effect& effect : effects)
      carry_out(effect);
  }
  for (const store::ConnId conn : machine_.take_ready()) {
    const auto domain = conns_.find(static_cast<std::uint32_t>(conn));
    if (domain == conns_.end()) continue;
    const auto guest = guests_.find(domain->second);
    if (guest != guests_.end()) enqueue(guest->second);
  }
  for (const store::LogRecord& record : machine_.take_log()) {
    kernel::console::write(level_of(record.level), record.text);
  }
}

void Server::carry_out(const store::Effect& effect) {
  switch (effect.kind) {
    case store::Effect::Kind::attach_domain:
      attach(effect);
      break;
    case store::Effect::Kind::detach_domain:
      detach(effect.domid);
      break;
    case store::Effect::Kind::reset_ring: {
      const auto guest = guests_.find(effect.domid);
      if (guest == guests_.end()) break;
      guest->second.link->ring().reset();
      owe(guest->second);
      break;
    }
  }
}

void Server::attach(const store::Effect& effect) {
  auto link = GuestLink::attach(effect.domid, GNTTAB_RESERVED_XENSTORE, effect.port);
  if (!link) {
    kernel::log(kernel::Level::warning, "domain ", effect.domid, " cannot be attached: ",
                link.error() == store::IntroduceResult::bad_ring ? "its ring page is not granted"
                                                                 : "its port cannot be bound");
    machine_.introduced(effect.domid, link.error());
    return;
  }
  machine_.introduced(effect.domid, store::IntroduceResult::attached);
  adopt(std::move(*link));
  // It may have died between its creation and now, unnoticed.
  check(effect.domid);
}

void Server::adopt(std::unique_ptr<GuestLink> link) {
  const store::DomId domid = link->domid();
  const auto conn = machine_.connection_of(domid);
  if (!conn) return;
  Guest& guest = guests_[domid];
  guest = {.server = this, .link = std::move(link), .conn = *conn, .queued = false, .owed = false};
  conns_[static_cast<std::uint32_t>(*conn)] = domid;
  kernel::events::handle(guest.link->port(), &Server::on_guest, &guest);
  // Requests may wait already, and a guest that slept through our start must be woken.
  enqueue(guest);
  owe(guest);
}

void Server::detach(store::DomId domid) {
  const auto guest = guests_.find(domid);
  if (guest == guests_.end()) return;
  conns_.erase(static_cast<std::uint32_t>(guest->second.conn));
  guests_.erase(guest);
}

void Server::check(store::DomId domid) {
  switch (facts_.state_of(domid)) {
    case DomainState::alive:
      break;
    case DomainState::shut_down:
      machine_.domain_shutdown(domid);
      break;
    case DomainState::dead:
      machine_.domain_dead(domid);
      break;
  }
}

void Server::check_all() {
  for (const store::DomId domid : machine_.known_domains()) {
    if (domid != kDom0) check(domid);
  }
}

void Server::tell_time() {
  const std::uint64_t now = kernel::time::now() / kernel::time::kMillisecond;
  if (now == now_ms_ && !deadline_passed_) return;
  deadline_passed_ = false;
  now_ms_ = now;
  machine_.advance(now);
}

void Server::arm_timer() {
  const auto due = machine_.next_deadline_ms();
  if (!due) {
    timer_.cancel();
    return;
  }
  const kernel::Nanoseconds deadline = *due * kernel::time::kMillisecond;
  if (!timer_.armed() || timer_.deadline() != deadline) timer_.once(deadline);
}

}  // namespace ppvmm::xenstore

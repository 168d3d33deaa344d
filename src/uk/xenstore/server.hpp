/// The shell that gives the store machine (store/machine.hpp) its rings, its clock and its facts
/// about domains, and nothing else: what is in the store, and who may do what, is the machine's.
///
/// One pass: every domain in the queue is served once, for a bounded number of bytes, in order of
/// arrival; then all guests that are owed a notification get it, in one hypercall. A domain with
/// more to do goes to the end of the queue, and events that came meanwhile are taken in between, so
/// that no domain, however busy or hostile, keeps the others waiting for more than its own turn.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <unordered_map>
#include <vector>

#include "kernel/events.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "kernel/vitals.hpp"
#include "store/machine.hpp"
#include "uk/xenstore/domain_facts.hpp"
#include "uk/xenstore/guest_link.hpp"
#include "uk/xenstore/notifier.hpp"

namespace ppvmm::xenstore {

class Server {
 public:
  Server(store::Options options, DomainFacts facts);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes over dom0's connection, which its kernel granted before we began (xenbus_backend), and
  /// tells it that somebody is there.
  [[nodiscard]] std::expected<void, store::IntroduceResult> attach_dom0(abi::GrantRef grant,
                                                                        abi::Port port);
  /// Begins to hear of domains that shut down or die (VIRQ_DOM_EXC).
  [[nodiscard]] std::expected<void, kernel::events::Error> watch_domains();

  /// Serves whoever has work, for ever. To be run as a task of its own.
  [[nodiscard]] kernel::task::Task<> serve();

 private:
  /// A connected domain. Its address is the context of its port's handler.
  struct Guest {
    Server* server;
    std::unique_ptr<GuestLink> link;
    store::ConnId conn{};
    bool queued{};  ///< Stands in queue_.
    bool owed{};    ///< Its notification is with the notifier.
  };
  using Guests = std::unordered_map<store::DomId, Guest>;

  static void on_guest(void* guest, abi::Port port);
  static void on_domain_exception(void* server, abi::Port port);
  static void on_deadline(void* server);

  void enqueue(Guest& guest);
  void owe(Guest& guest);
  void pass();
  void serve_one(Guest& guest);
  /// Carries out what the machine asked for since the last time.
  void settle();
  void carry_out(const store::Effect& effect);
  void attach(const store::Effect& effect);
  void detach(store::DomId domid);
  void adopt(std::unique_ptr<GuestLink> link);
  void check(store::DomId domid);
  void check_all();
  void tell_time();
  void arm_timer();

  store::Machine machine_;
  DomainFacts facts_;
  Guests guests_;
  std::unordered_map<std::uint32_t, store::DomId> conns_;  ///< By ConnId.
  std::vector<store::DomId> queue_;    ///< Guests with work. Ids, so that a death is harmless.
  std::vector<store::DomId> serving_;  ///< The queue of the pass under way.
  std::vector<store::DomId> owed_;     ///< Guests whose notification is with the notifier.
  bool domains_changed_{};
  bool deadline_passed_{};
  std::uint64_t now_ms_{};
  kernel::Timer timer_;
  kernel::task::Signal work_;
  Notifier notifier_;
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::xenstore

/// The primary's shell: it gives the replicated store (replication/primary.hpp) its rings, its
/// clock, its facts about domains and its backups' memory, and nothing else. What is in the store
/// is the machine's, and what may be seen when is the primary's.
///
/// One pass: kicked domains are served in turn, one request each; then effects are carried out, and
/// all guests that are owed a notification get it, in one hypercall. Events that came meanwhile are
/// taken before the next pass, so that no domain, however busy or hostile, keeps the others waiting
/// for more than its own turn.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <unordered_map>
#include <vector>

#include "abi/xenstore_set.hpp"
#include "kernel/events.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "kernel/vitals.hpp"
#include "replication/primary.hpp"
#include "uk/xenstore/beginning.hpp"
#include "uk/xenstore/domain_facts.hpp"
#include "uk/xenstore/guest_link.hpp"
#include "uk/xenstore/notifier.hpp"
#include "uk/xenstore/settings.hpp"

namespace ppvmm::xenstore {

class Server {
 public:
  /// `regions` and `settings` must outlive the server. `key`: the set's secret.
  Server(const Settings& settings, RemoteRegions& regions, Beginning beginning, DomainFacts facts,
         std::uint64_t key);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// First start: takes over dom0's connection, which its kernel granted before we began
  /// (xenbus_backend), and tells it that somebody is there.
  [[nodiscard]] std::expected<void, store::IntroduceResult> attach_dom0();
  /// Later lives: goes on at the rings of all domains that were connected. `stale`: the state is
  /// older than the rings.
  void resume_guests(bool stale);
  /// For comparisons: what clients asked and were not answered is lost.
  void lose_requests();
  /// Begins to hear of domains that shut down or die (VIRQ_DOM_EXC).
  [[nodiscard]] std::expected<void, kernel::events::Error> watch_domains();
  /// Fills all regions that are there, before anybody is served.
  void fill_backups();
  /// Takes root's commands from now on.
  void obey();

  /// Serves whoever has work, for ever. To be run as a task of its own.
  [[nodiscard]] kernel::task::Task<> serve();

 private:
  struct Guest {
    Server* server;
    std::unique_ptr<GuestLink> link;
  };
  /// The outcome of an introduction that the log had no room for yet.
  struct Unreported {
    store::DomId domid{};
    store::IntroduceResult result{};
    std::unique_ptr<GuestLink> link;
  };

  static void on_guest(void* guest, abi::Port port);
  static void on_domain_exception(void* server, abi::Port port);
  static void on_timer(void* server);
  static void on_pulse(void* server);
  static std::uint32_t on_command(void* server, const abi::Command& command);

  [[nodiscard]] bool work_waits() const {
    return kicked_ || domains_changed_ || time_is_due_ || pulse_is_due_ || filling_;
  }
  void pass();
  void tell_time();
  void carry_out_effects();
  void attach(const store::Effect& effect);
  void report_introductions();
  void detach(store::DomId domid);
  void listen(std::unique_ptr<GuestLink> link);
  /// False: could not be told to the store now.
  [[nodiscard]] bool check(store::DomId domid);
  void check_all();
  void notify_guests();
  void pass_on_reports();
  void idle_checks();
  void compare_replicas();
  void recall_doubt();
  void end_if_corrupt() const;
  void arm_timer(replication::Primary::Run run);

  [[nodiscard]] abi::xenstore_set::Result attach_backup(std::size_t index);
  void refill(std::size_t index);

  const Settings& settings_;
  RemoteRegions& regions_;
  replication::Primary primary_;
  DomainFacts facts_;
  std::unordered_map<store::DomId, Guest> guests_;
  std::vector<Unreported> unreported_;
  std::array<bool, replication::kBackups> wants_refill_{};
  bool kicked_{};
  bool domains_changed_{};
  bool recheck_{};  ///< A domain's end found no room in the log: look again.
  bool time_is_due_{};
  bool pulse_is_due_{};
  bool filling_{};
  bool disagreement_told_{};
  bool served_{};  ///< Somebody was answered in this life.
  std::uint64_t now_ms_{};
  kernel::Timer timer_;
  kernel::Timer pulse_;
  kernel::task::Signal work_;
  Notifier notifier_;
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::xenstore

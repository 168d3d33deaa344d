/// The supervising daemon: the thin shell that lets the supervisor see the host and carries out
/// what it decides. One thread; nothing in its loop blocks but the wait for something to happen.
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "root/daemon/config.hpp"
#include "root/daemon/control.hpp"
#include "root/daemon/handle.hpp"
#include "root/daemon/history_file.hpp"
#include "root/daemon/metrics.hpp"
#include "root/daemon/stillness.hpp"
#include "root/daemon/supervisor.hpp"
#include "root/events.hpp"
#include "root/failure.hpp"
#include "root/registry.hpp"
#include "root/xen.hpp"

namespace ppvmm::root::daemon {

class Daemon {
 public:
  /// Takes the lock of the state directory (one daemon for each), and adopts what runs.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> start(Config config, std::string state_dir);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Supervises until `stop` is set. Nothing that runs is disturbed by the end.
  [[nodiscard]] Result<void> run(const volatile std::sig_atomic_t& stop);

 private:
  /// While a repair is under way: what is waited for announces itself, but for the end of a domain.
  /// Looking takes processor time from whoever is to be repaired.
  static constexpr std::uint64_t kBusyPace = 2 * kNsPerMs;

  Daemon(Config config, std::string state_dir, Xen xen, Events events, Control control,
         std::unique_ptr<Metrics> metrics);

  // adopt.cpp
  void registry_changed();
  void adopt(const Record& record);
  void release(UnitId id);
  [[nodiscard]] Result<std::shared_ptr<const Image>> image_for(const Record& record);

  // daemon.cpp
  void wait();
  [[nodiscard]] static bool fired(const pollfd& waited) { return waited.revents != 0; }
  void say(const std::string& line);

  // look.cpp
  void take_events();
  [[nodiscard]] bool registry_differs();
  void look();
  [[nodiscard]] bool look_at_fallen();
  [[nodiscard]] bool must_ask();
  void ask_xen();
  void look_at(UnitId id, const std::optional<DomainFacts>& facts, std::uint64_t now);

  // act.cpp
  void carry_out();
  void tend_errands();
  void errand_ended(UnitId id, Handle& handle, const Errands::Ended& ended);
  void keep_still(UnitId id, Act act);
  void end_stillness();

  // chores.cpp
  void do_chores();
  void word_faults();
  void scrub();
  void keep_books();
  void log_console(Handle& handle);

  // answers.cpp
  [[nodiscard]] nlohmann::ordered_json answer(const nlohmann::ordered_json& question);
  [[nodiscard]] nlohmann::ordered_json status();
  [[nodiscard]] nlohmann::ordered_json history_since(std::uint64_t id);

  Config config_;
  std::string state_dir_;
  Xen xen_;
  Events events_;
  Control control_;
  std::unique_ptr<Metrics> metrics_;
  Registry registry_;
  History history_;
  HistoryFile history_file_;
  Supervisor supervisor_;
  std::map<UnitId, std::unique_ptr<Handle>> handles_;
  Stillness stillness_{xen_};
  UnitId served_by_{};  ///< The primary for whom others are held.
  bool crowded_{};      ///< There are hardly more processors than replicas.
  std::map<std::uint64_t, std::weak_ptr<const Image>> images_;
  std::map<std::string, std::string> refused_;  ///< Records that could not be adopted, and why.
  std::set<std::uint64_t> counted_;             ///< Incidents whose end the metrics know.
  // What need not be done before a repair.
  /// Faults that the history has no words for yet, and when they were.
  std::map<UnitId, std::pair<abi::Fault, std::uint64_t>> unworded_;
  std::set<UnitId> talking_;  ///< Their consoles have to be read.
  std::set<UnitId> unsaved_;  ///< Their records have changed.
  std::uint64_t last_chores_ns_{};
  int inotify_{-1};
  std::vector<pollfd> waited_;  ///< Events, inotify, whatever Control asked for, errands.
  std::size_t errands_at_{};    ///< Where the errands' begin.
  std::uint64_t started_ns_{};
  std::uint64_t looks_{};
  std::uint64_t now_ns_{};  ///< Of this turn of the loop: reading the clock may be a system call.
  std::uint64_t working_ns_{};    ///< Time not spent waiting.
  std::uint64_t last_turn_ns_{};  ///< What the last turn of the loop took, without its waiting.
  /// The clock that units are judged by: it stands still while this process does not get to run,
  /// as they then hardly do either.
  std::uint64_t judged_ns_{};
  std::uint64_t last_look_ns_{};
  std::uint64_t unasked_{};  ///< Looks since Xen was asked.
  bool woken_{};             ///< Something happened, it was not only time to look.
  std::uint64_t asked_{};
  std::uint64_t scrubbed_{};
  std::uint64_t scrub_debt_ns_{};
  std::uint64_t last_scrub_ns_{};
  UnitId next_scrub_{};
  std::uint64_t lost_notices_{};
  std::uint64_t last_books_ns_{};
};

}  // namespace ppvmm::root::daemon

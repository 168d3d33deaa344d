/// A host with unikernels as root's supervisor sees it, in virtual time: domains that run, die,
/// hang, come back and map each other, and the rules that no supervisor may break.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "root/daemon/supervisor.hpp"
#include "simulation/random.hpp"

namespace ppvmm::root::daemon::test {

/// One unikernel's domain.
struct SimDomain {
  bool exists{true};
  bool dying{};
  bool stopped{};
  bool paused{};
  bool hung{};
  abi::LifeState state{abi::LifeState::ready};
  abi::FaultKind fault{};
  std::uint32_t fault_incarnation{};
  std::uint32_t incarnation{1};
  std::uint64_t progress{};
  std::uint32_t ping{};
  std::uint32_t pong{};
  std::uint64_t ready_at{};
  bool will_be_lost{};
  bool will_crash{};
  abi::Command command{};
  std::uint32_t command_done{};
  std::uint32_t command_result{};
  std::uint64_t command_at{};
  std::set<std::uint64_t> maps;  ///< Indexes of the backups whose pages it holds.
  std::map<std::uint64_t, std::uint64_t> joins_at;
  std::set<std::uint64_t> told_stuck;
  std::uint64_t down_since{};

  [[nodiscard]] bool runs() const { return exists && !dying && !stopped && !paused && !hung; }
  [[nodiscard]] bool serves() const { return runs() && state == abi::LifeState::ready; }
};

/// Units 0: primary, 1 and 2: its backups, 3: a network unikernel, 4: a tool that needs both.
class SimHost {
 public:
  static constexpr std::size_t kUnits = 5;

  explicit SimHost(std::uint64_t seed);

  /// One step of virtual time: the domains run, root looks and acts.
  void step();
  /// One random fault somewhere; the supervisor itself may be what dies.
  void harm();
  /// Root ends at once, and starts again with what it had remembered.
  void kill_root();

  SimDomain& domain(std::size_t unit) { return domains_[unit]; }
  [[nodiscard]] Supervisor& root() { return *root_; }
  [[nodiscard]] UnitId id(std::size_t unit) const { return ids_[unit]; }
  [[nodiscard]] History& history() { return history_; }
  [[nodiscard]] std::uint64_t now() const { return now_; }
  /// What was done that must never be done, in words; empty when nothing was.
  [[nodiscard]] const std::vector<std::string>& wrong() const { return wrong_; }
  /// Everything works again, or root has said that it stopped.
  [[nodiscard]] std::string unsettled();

  bool accidents{true};  ///< Starts and builds may fail.
  std::size_t kills_of_root{};
  std::size_t microreboots{};
  std::size_t builds{};

 private:
  void adopt();
  void run(std::size_t unit);
  void primary_works();
  void look(std::size_t unit);
  void carry_out();
  Acted act(const Action& action, std::size_t unit);
  void crash(std::size_t unit, abi::FaultKind kind);
  void free_ended();
  void violation(std::string what);

  simulation::Random random_;
  std::uint64_t now_{1'000'000};
  std::array<SimDomain, kUnits> domains_{};
  std::array<UnitInfo, kUnits> remembered_{};
  std::array<UnitId, kUnits> ids_{};
  std::array<bool, kUnits> being_built_{};
  History history_;
  std::optional<Supervisor> root_;
  std::vector<NoticeSeen> notices_;
  std::vector<std::string> wrong_;
  bool root_dies_{};
};

}  // namespace ppvmm::root::daemon::test

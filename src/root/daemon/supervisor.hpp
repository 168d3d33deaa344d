/// Root's judgement: what is seen of all unikernels in, what is to be done about it out. Pure: no
/// clock, no Xen, no files; the same object decides in the daemon and in the simulated host of the
/// tests.
///
/// The caller looks at each unit and calls observe(), passes on notices, then calls decide(),
/// carries out take_actions() in their order, reports each by acted(), and calls decide() again
/// until nothing is left to do. There is never more than one repair of a unit under way.
///
/// A unit's way through a repair:
///   watching → waiting (for what it depends on, and its turn) → acting (a microreboot is made)
///   → starting (until it is ready) → watching, or for a rebuild
///   waiting → [detaching: the primary lets go of the backup] → destroying (until its id is free)
///   → acting (it is built) → starting → [attaching: the primary takes it up] → watching.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "abi/vitals.hpp"
#include "abi/xenstore_set.hpp"
#include "root/daemon/history.hpp"
#include "root/daemon/policy.hpp"
#include "root/judge.hpp"
#include "root/registry.hpp"

namespace ppvmm::root::daemon {

using UnitId = std::uint32_t;

/// What root knows of a unit before it looks at it.
struct UnitInfo {
  std::string name;
  std::uint16_t domid{};
  bool xenstore{};  ///< It serves the host's XenStore, alone or as the primary.
  SetPlace place;
  bool rebuilding{};  ///< Adopted in the middle of a rebuild.
  Policy policy;
  /// It serves guests over rings of theirs (net_uk). Entered again in place it needs nobody, not
  /// even what it is repaired `after`.
  bool driver_domain{};
  /// Root builds it with its place in XenStore, which somebody else must write: it starts later
  /// than it is built, and its id is free later than it is destroyed.
  bool bus{};
  std::vector<std::string> after{};  ///< Repaired only while none of these is under repair.
};

enum class Phase : std::uint8_t {
  watching,
  waiting,
  detaching,
  destroying,
  acting,
  starting,
  attaching,
  given_up,
};
/// In the order of Phase, for people and for JSON.
inline constexpr std::array<std::string_view, 8> kPhaseNames{"watching",   "waiting", "detaching",
                                                             "destroying", "acting",  "starting",
                                                             "attaching",  "given up"};
static_assert(kPhaseNames.size() == std::size_t{std::to_underlying(Phase::given_up)} + 1);
[[nodiscard]] constexpr std::string_view name_of(Phase phase) {
  return kPhaseNames.at(std::to_underlying(phase));
}

enum class Act : std::uint8_t {
  ping,         ///< Ask for a sign of life. Not reported back.
  microreboot,  ///< Image back, re-enter. Done when entered, not when ready.
  destroy,      ///< Let go of all its pages and end it. Done when ordered, not when gone.
  build,        ///< Build it under its id and let it run. Done when it runs.
  command,      ///< Give it a command (abi::Command). Done when written.
  nudge,        ///< Notify it again: a command is open. Not reported back.
  remember,     ///< Its registry record has changed (`attached`, `rebuilding`). Not reported back.
  move,         ///< What it serves is moved to the unit named in `words`. Not reported back.
};

struct Action {
  UnitId unit{};
  Act act{};
  abi::FaultKind cause{};  ///< Of a microreboot.
  std::string words{};     ///< Of a microreboot or build: abi::Orders::words. Of a move: to whom.
  /// Of a command; of a build: in force before the first instruction, if not 0.
  std::uint32_t command{};
  std::uint64_t subject{};
};

/// What became of an action.
struct Acted {
  bool ok{};
  std::string problem{};   ///< When not ok.
  std::uint32_t serial{};  ///< Serial number of the command that was given, if one was.
};

/// A notice of a unit, its time on the caller's clock.
struct NoticeSeen {
  std::uint64_t time_ns{};
  std::uint32_t kind{};
  std::uint32_t subject{};
  std::uint64_t value{};
};

/// What root thinks of a unit now, for status and metrics.
struct UnitStatus {
  Phase phase{};
  Health health{};
  bool member{};  ///< A backup that the primary uses.
  std::uint64_t microreboots{};
  std::uint64_t rebuilds{};
  std::uint64_t pings{};
  std::uint64_t incident{};  ///< The open one; 0: none.
  /// Repairs that its parts made by themselves, as it told.
  std::map<std::string, std::uint64_t> parts{};
};

class Supervisor {
 public:
  explicit Supervisor(History& history) : history_(&history) {}

  /// Takes a unit under supervision. One whose rebuild was interrupted is rebuilt.
  UnitId add(UnitInfo info, std::uint64_t now_ns);
  /// Lets go of it, whatever it is doing. Nothing is done to the domain.
  void remove(UnitId unit);
  [[nodiscard]] std::optional<UnitId> find(std::string_view name) const;

  void observe(UnitId unit, const Observation& seen);
  /// The fault record in words, for the incident that is open, or that the next decide() may open.
  void describe(UnitId unit, std::string detail, std::uint64_t fault_ns);
  void notice(UnitId unit, const NoticeSeen& notice);
  /// Pages that nobody may write are not as the image has them.
  void damaged(UnitId unit, std::string where);
  /// One that was built has its place in XenStore, and runs.
  void runs(UnitId unit, std::uint64_t now_ns);
  /// One that was built cannot start: its place in XenStore could not be made.
  void cannot_start(UnitId unit, std::string problem, std::uint64_t now_ns);
  /// An operator wants a repair. Refused (false) while one is under way.
  bool order(UnitId unit, Repair repair, std::uint64_t now_ns);

  void decide(std::uint64_t now_ns);
  [[nodiscard]] std::vector<Action> take_actions();
  void acted(const Action& action, const Acted& result, std::uint64_t now_ns);

  [[nodiscard]] const UnitInfo& info(UnitId unit) const { return units_.at(unit).info; }
  [[nodiscard]] UnitStatus status(UnitId unit) const;
  /// Something is under way.
  [[nodiscard]] bool busy() const;
  /// Something is under way whose end nobody announces: look again soon.
  [[nodiscard]] bool must_poll() const;

 private:
  /// A command to the primary that somebody waits for.
  struct OpenCommand {
    bool given{};
    std::uint32_t serial{};
    std::uint32_t generation{};  ///< The primary's, when it was given.
    std::uint64_t since_ns{};
    std::uint32_t nudges{};
    std::uint32_t tries{};
  };

  struct Unit {
    UnitInfo info;
    Judge judge;
    Escalation escalation;
    Phase phase{Phase::watching};
    Health health{Health::starting};
    Repair wanted{Repair::none};
    abi::FaultKind cause{};
    std::optional<Observation> last{};
    std::string detail{};
    std::uint64_t fault_ns{};
    std::string suspicion{};  ///< Why it counts as hung although the judge has not said so.
    std::string damage{};
    std::string dropped{};  ///< A backup under repair in place that the primary has dropped: why.
    std::uint64_t since_ns{};  ///< When the phase began.
    std::uint64_t next_refresh_ns{};
    std::uint64_t incident{};
    std::uint32_t incarnation_before{};
    std::uint32_t generation{};     ///< Raised with every new domain.
    bool joining{};                 ///< A backup that is being filled ...
    bool joined_early{};            ///< ... or was, before the command to attach it had ended,
    std::uint64_t join_until_ns{};  ///< ... and is rebuilt if it is no member by then.
    bool told_stopped{};
    OpenCommand command{};
    std::uint64_t microreboots{};
    std::uint64_t rebuilds{};
    std::uint64_t pings{};
    std::map<std::string, std::uint64_t> parts{};
  };

  void watch(UnitId id, Unit& unit);
  void begin(UnitId id, Unit& unit);
  void begin_rebuild(UnitId id, Unit& unit);
  void begin_destroy(UnitId id, Unit& unit);
  void step(UnitId id, Unit& unit);
  void step_detaching(UnitId id, Unit& unit);
  void step_destroying(UnitId id, Unit& unit);
  void step_starting(UnitId id, Unit& unit);
  void step_attaching(UnitId id, Unit& unit);
  void step_joining(Unit& unit);
  void joined(Unit& backup);
  void ready_again(UnitId id, Unit& unit);

  void ill(Unit& unit, std::string cause, std::string detail, Repair wanted);
  void failed_attempt(Unit& unit, std::string problem, Health as);
  void give_up(Unit& unit, const std::string& why);
  void complete(Unit& unit, Outcome outcome);
  void note(const Unit& unit, std::string cause, std::string detail);
  void begin_step(Unit& unit, std::string what);
  void end_step(Unit& unit, std::string problem);
  [[nodiscard]] Repair next_repair(Unit& unit, Health health);
  [[nodiscard]] bool held_back(const Unit& unit) const;

  // The set (replica_set.cpp).
  using Command = abi::xenstore_set::Command;
  [[nodiscard]] Unit* primary_of(const Unit& backup, UnitId* id = nullptr);
  [[nodiscard]] Unit* backup_of(const Unit& primary, std::uint64_t index, UnitId* id = nullptr);
  [[nodiscard]] static bool steady(const Unit& unit);
  /// Has the command that `backup` waits for never reached the primary as it is now?
  [[nodiscard]] static bool unheard(const Unit& backup, const Unit& primary);
  [[nodiscard]] bool turn_is_free(UnitId id, const Unit& unit) const;
  void give_command(UnitId primary, Unit& backup, Command command);
  /// The result of the command that `backup` waits for, once the primary has carried it out.
  [[nodiscard]] std::optional<std::uint32_t> command_result(Unit& backup);
  /// The primary fills a backup by itself: rebuilt only if that comes to nothing.
  void backup_is_refilled(const Unit& primary, std::uint64_t index, std::string cause,
                          std::string detail);
  void backup_must_be_rebuilt(const Unit& primary, std::uint64_t index, std::string cause,
                              std::string detail);
  void primary_notice(UnitId id, Unit& unit, const NoticeSeen& notice);
  void backup_notice(Unit& unit, const NoticeSeen& notice);
  void set_is_lost(Unit& unit, const std::string& why);
  /// The detach that must be in force when `primary` starts anew, if one must.
  [[nodiscard]] std::optional<std::uint64_t> detached_index(const Unit& primary) const;

  // Driver domains (network.cpp).
  void network_notice(Unit& unit, const NoticeSeen& notice);
  void part_repaired(Unit& unit, const NoticeSeen& notice);
  /// Lets the spare of `unit` do what it does, if there is one that can.
  void take_over(UnitId id, Unit& unit);

  History* history_;
  std::map<UnitId, Unit> units_;
  UnitId next_id_{1};
  std::vector<Action> actions_;
  std::uint64_t now_ns_{};
};

}  // namespace ppvmm::root::daemon

/// Judging a unikernel from what can be seen of it from outside. Pure: observations in, an opinion
/// out; no clock, no Xen. The shells feed it (the tool today, root the daemon and its simulator).
///
/// Hangs are found by implicit heartbeats: progress counters, events and CPU time move as a side
/// effect of work, so a busy unikernel costs nothing to watch. Only one that is silent with work
/// waiting, or silent while it uses the CPU, or silent for too long, is pinged; only one that does
/// not answer a ping is called hung.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "abi/vitals.hpp"

namespace ppvmm::root {

/// One look at a unikernel. Times are on the observer's clock.
struct Observation {
  std::uint64_t now_ns{};
  bool exists{};   ///< Its domain is there.
  bool stopped{};  ///< Its domain is shut down or dying.
  bool crashed{};  ///< ... and the reason was a crash.
  bool dying{};    ///< It was destroyed; its memory goes.
  abi::LifeState state{};
  abi::FaultKind fault{};  ///< Kind in the fault record, if that record is of this incarnation.
  std::uint32_t incarnation{};
  std::uint64_t progress{};  ///< Sum of its progress counters and handled events.
  std::uint64_t waiting{};   ///< Work it knows of but has not done.
  std::uint32_t ping{};      ///< Last ping ordered.
  std::uint32_t pong{};      ///< Last ping it answered.
  bool asleep{};             ///< It gave its vCPU back to Xen.
  bool paused{};             ///< Somebody stopped its vCPU from outside.
  bool pending{};            ///< An event is raised for it that it has not taken yet.
  bool blocked{};            ///< Xen has its vCPU waiting for an event.
  /// CPU time it has had, when the observer knows it: a vCPU that gets no processor is not hung.
  std::optional<std::uint64_t> cpu_ns{};
  std::uint32_t command_done{};    ///< Serial of the last command carried out ...
  std::uint32_t command_result{};  ///< ... and what came of it.
};

enum class Health : std::uint8_t {
  starting,  ///< Not ready yet, within its time.
  working,   ///< Seen to make progress, or idle with nothing to do.
  silent,    ///< No progress for a while: ping it.
  hung,      ///< Did not answer a ping, or was not ready in time.
  faulted,   ///< Ended itself with a fault record: a microreboot can follow.
  dead,      ///< Xen ended it: no record, and no way back in place.
  lost,      ///< Refused its own re-entry.
  stopped,   ///< Ended itself cleanly.
  gone,      ///< No such domain.
};

/// In the order of Health, for people and for JSON.
inline constexpr std::array<std::string_view, 9> kHealthNames{
    "starting", "working", "silent", "hung", "faulted", "dead", "lost", "stopped", "gone"};
static_assert(kHealthNames.size() == std::size_t{std::to_underlying(Health::gone)} + 1);
[[nodiscard]] constexpr std::string_view name_of(Health health) {
  return kHealthNames.at(std::to_underlying(health));
}

/// Does this opinion ask for a repair?
[[nodiscard]] constexpr bool asks_for_repair(Health health) {
  return health == Health::hung || health == Health::faulted || health == Health::dead ||
         health == Health::lost || health == Health::gone;
}

struct Patience {
  std::uint64_t start_ns{2'000'000'000};  ///< From entry to ready.
  std::uint64_t silence_ns{50'000'000};  ///< Without progress although work waits or the CPU burns.
  std::uint64_t idle_ns{5'000'000'000};  ///< Asleep with nothing to do.
  std::uint64_t answer_ns{20'000'000};   ///< From ping to pong.
};

class Judge {
 public:
  explicit Judge(Patience patience) : patience_(patience) {}

  /// The opinion after one more look. `silent` asks the caller to order a new ping and to say so
  /// in the next observations.
  [[nodiscard]] Health observe(const Observation& seen);

 private:
  [[nodiscard]] Health judge_running(const Observation& seen);
  [[nodiscard]] bool had_its_time(const Observation& seen) const;

  Patience patience_;
  bool fresh_{true};
  Observation last_{};
  std::uint64_t moved_ns_{};   ///< When progress was last seen.
  std::uint64_t paused_ns_{};  ///< Since when it has been seen paused; 0: it is not.
  std::uint64_t pinged_ns_{};  ///< When the open ping was first seen; 0: none open.
  std::uint64_t pinged_cpu_ns_{};
};

/// How to repair, from cheap to dear.
enum class Repair : std::uint8_t { none, microreboot, rebuild, give_up };

struct RepairLimits {
  std::uint32_t microreboots{5};  ///< In place within the window; then rebuild.
  std::uint32_t rebuilds{3};      ///< Under the same id within the window; then give up.
  std::uint64_t window_ns{10'000'000'000};
};

/// Chooses repairs so that a unikernel that keeps dying is not reborn for ever.
class Escalation {
 public:
  explicit Escalation(RepairLimits limits) : limits_(limits) {}

  /// What to do about `health` at `now_ns`. Counts the repair as made.
  [[nodiscard]] Repair decide(Health health, std::uint64_t now_ns);

 private:
  struct Window {
    std::uint64_t begin_ns{};
    std::uint32_t count{};
  };
  [[nodiscard]] bool spend(Window& window, std::uint32_t limit, std::uint64_t now_ns) const;

  RepairLimits limits_;
  Window microreboots_{};
  Window rebuilds_{};
};

}  // namespace ppvmm::root

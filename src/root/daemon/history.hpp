/// What root saw and did: one incident for each fault from the moment it was injected, as far as
/// that is known, to the first request served again. Pure; files and sockets are elsewhere.
///
/// All times are nanoseconds of dom0's monotonic clock; 0: not known, or not yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ppvmm::root::daemon {

/// One attempt at a repair.
struct RepairStep {
  std::string what;  ///< "microreboot", "rebuild", "attach" ...
  std::uint64_t begin_ns{};
  std::uint64_t end_ns{};
  std::string problem{};  ///< Why it failed; empty when it did not.
};

enum class Outcome : std::uint8_t {
  open,      ///< Under repair.
  repaired,  ///< Ready again.
  stopped,   ///< Root has given up: somebody must look.
  noted,     ///< Nothing to repair; worth knowing.
};
[[nodiscard]] std::string_view name_of(Outcome outcome);

struct Incident {
  std::uint64_t id{};
  std::string unit;
  std::string cause;   ///< "crash", "hang", "destroyed", "corruption", "refresh", "ordered" ...
  std::string detail;  ///< The fault record in words, or what else is known.
  std::string injected_what;
  std::uint64_t injected_ns{};
  std::uint64_t fault_ns{};  ///< When the unikernel itself recorded its end.
  std::uint64_t seen_ns{};
  std::uint64_t repaired_ns{};
  std::uint64_t serving_ns{};
  std::vector<RepairStep> steps;
  Outcome outcome{Outcome::open};
};

class History {
 public:
  /// Starts an incident; the number that names it.
  std::uint64_t open(std::string unit, std::string cause, std::string detail,
                     std::uint64_t seen_ns);
  /// Something worth knowing that asks for no repair.
  void note(std::string unit, std::string cause, std::string detail, std::uint64_t now_ns);
  /// The incident of that number for changing, or nothing when it was dropped for want of room.
  [[nodiscard]] Incident* change(std::uint64_t id);
  [[nodiscard]] const Incident* find(std::uint64_t id) const;

  /// Somebody injected a fault into `unit`. The first incident of that unit that is seen from then
  /// on, or was seen since, is its consequence.
  void injected(const std::string& unit, std::string what, std::uint64_t at_ns);
  /// Injections that no incident has followed.
  struct Injection {
    std::string unit;
    std::string what;
    std::uint64_t at_ns{};
  };
  [[nodiscard]] const std::vector<Injection>& unseen() const { return unseen_; }

  /// Those kept, oldest first.
  [[nodiscard]] const std::deque<Incident>& incidents() const { return incidents_; }
  /// The last incident of `unit` that asked for a repair, or nothing.
  [[nodiscard]] const Incident* last_of(std::string_view unit) const;

  /// Numbers of incidents that changed since the last call, each once.
  [[nodiscard]] std::vector<std::uint64_t> take_changed();
  /// Puts back one that was kept from an earlier run of root. A later one of the same number wins.
  void restore(Incident incident);

 private:
  void mark(std::uint64_t id);

  static constexpr std::size_t kKept = 4096;
  static constexpr std::size_t kUnseenKept = 256;
  std::deque<Incident> incidents_;
  std::vector<Injection> unseen_;
  std::vector<std::uint64_t> changed_;
  std::uint64_t next_{1};
};

}  // namespace ppvmm::root::daemon

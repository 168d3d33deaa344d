/// What root has done by somebody else: everything that asks XenStore and waits for its answer.
/// Root may be the one that must bring XenStore back, so it never waits for it; a child process
/// does (`ppvmm net errands`). It stands by from the beginning, connected and with its memory in
/// place: to start it takes longer than most errands. One after the other for each unit.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ppvmm::root::daemon {

struct Errand {
  std::string what;   ///< "join", "home", "leave", "move": for whoever hears of its end.
  std::string words;  ///< The line that the child is told, `what` and the units.
};

/// The tool that belongs to this daemon: beside it, or wherever the system finds it.
[[nodiscard]] std::string tool_path();

class Errands {
 public:
  explicit Errands(std::string state_dir, std::string tool = tool_path())
      : state_dir_(std::move(state_dir)), tool_(std::move(tool)) {}
  ~Errands() { abandon(); }
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// Starts the child, so that it is ready when it is needed.
  void stand_by();
  /// Queued; begun by advance().
  void add(Errand errand) { waiting_.push_back(std::move(errand)); }
  /// How one ended.
  struct Ended {
    std::string what;
    bool ok{};
    std::string problem{};  ///< The child's words, when not ok.
  };
  /// Begins what may begin. Tells of one that has ended, if one has. Never waits.
  [[nodiscard]] std::optional<Ended> advance();
  /// Forgets every `what`; one that is under way is ended, with the child.
  void drop(const std::string& what);
  /// The same for all, and nobody stands by any more.
  void abandon();
  [[nodiscard]] bool idle() const { return waiting_.empty(); }
  /// Readable when there is something to be told of the errand under way; -1 without a child.
  [[nodiscard]] int descriptor() const { return answers_; }

 private:
  [[nodiscard]] bool begin();
  [[nodiscard]] bool start_child();
  [[nodiscard]] bool tell(const std::string& words);
  void hear();
  [[nodiscard]] std::optional<std::string> answer() const;
  [[nodiscard]] Ended end_first(std::string problem);
  void end_child();

  std::string state_dir_;
  std::string tool_;
  std::deque<Errand> waiting_;
  bool under_way_{};  ///< The first of them is with the child.
  pid_t child_{};
  int orders_{-1};   ///< The child's standard input.
  int answers_{-1};  ///< What it says, on both of its outputs.
  std::string heard_;
  std::vector<pid_t>
      ended_;  ///< Killed, and not waited for: that might take until XenStore is back.
};

}  // namespace ppvmm::root::daemon

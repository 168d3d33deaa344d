/// What root has done by somebody else: everything that asks XenStore and waits for its answer.
/// Root may be the one that must bring XenStore back, so it never waits for it; the `ppvmm` tool
/// does, as a child process. One after the other for each unit.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace ppvmm::root::daemon {

struct Errand {
  std::string what;                ///< "join", "leave", "move": for whoever hears of its end.
  std::vector<std::string> words;  ///< Arguments of `ppvmm`.
};

class Errands {
 public:
  Errands() = default;
  ~Errands() { abandon(); }
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// Queued; begun by advance().
  void add(Errand errand) { waiting_.push_back(std::move(errand)); }
  /// How one ended.
  struct Ended {
    std::string what;
    bool ok{};
    std::string problem{};  ///< Its last words, when not ok.
  };
  /// Begins what may begin. Tells of one that has ended, if one has. Never waits.
  [[nodiscard]] std::optional<Ended> advance();
  /// Forgets every `what`; one that is under way is ended.
  void drop(const std::string& what);
  /// The same for all.
  void abandon();
  [[nodiscard]] bool idle() const { return child_ == 0 && waiting_.empty(); }

 private:
  [[nodiscard]] bool begin(const Errand& errand);
  [[nodiscard]] std::string last_words();
  void close_pipe();
  void end_child();

  std::deque<Errand> waiting_;  ///< The first one is under way, if there is a child.
  pid_t child_{};
  int words_{-1};  ///< What the child says on its standard error.
  std::vector<pid_t>
      ended_;  ///< Killed, and not waited for: that might take until XenStore is back.
};

/// The tool that belongs to this daemon: beside it, or wherever the system finds it.
[[nodiscard]] std::string tool_path();

}  // namespace ppvmm::root::daemon

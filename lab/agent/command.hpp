/// A shell command that the driver asked for: its output is streamed, its end reported.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fd.hpp"

namespace ppvmm::lab {

/// Takes a message that goes to the driver.
using Send = std::function<void(const nlohmann::json&)>;

class Command {
 public:
  /// Starts `sh -c text` in a process group of its own, so that a time-out ends all of it.
  /// `timeout_ms` 0 means no limit. Nothing when the system cannot start it.
  static std::optional<Command> start(std::int64_t id, const std::string& text,
                                      std::int64_t timeout_ms);

  /// The pipes to wait on: standard output, standard error. -1 once closed.
  [[nodiscard]] std::array<int, 2> pipes() const { return {out_[0].get(), out_[1].get()}; }
  /// When it is to be ended, in nanoseconds of now_ns(); 0: never.
  [[nodiscard]] std::int64_t deadline_ns() const { return deadline_ns_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Sends what a pipe holds. `which`: 0 output, 1 errors.
  void drain(std::size_t which, const Send& send);
  /// Ends the whole process group because its time is over.
  void expire();
  /// Reports the end. `status` is waitpid's. What background children still hold open is not waited
  /// for.
  void finish(int status, const Send& send);

 private:
  Command() = default;

  std::int64_t id_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t deadline_ns_ = 0;
  pid_t pid_ = -1;
  bool expired_ = false;
  std::array<Fd, 2> out_;
};

}  // namespace ppvmm::lab

/// How a call of this library fails: what was being done, in words for a person, and the errno that
/// the system gave. Nothing here throws.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace ppvmm::root {

struct Failure {
  std::string what;  ///< What was being done, for example "create domain 100".
  int error{};       ///< errno of the call that failed, or 0 when no system call is to blame.

  /// One line for a person.
  [[nodiscard]] std::string text() const {
    return error == 0 ? what : what + ": " + std::strerror(error);
  }
};

template <class T>
using Result = std::expected<T, Failure>;

/// A failure that blames errno as it is now: call it before anything else can change errno.
[[nodiscard]] inline std::unexpected<Failure> failed(std::string what) {
  return std::unexpected(Failure{std::move(what), errno});
}

/// A failure of judgement: no system call is to blame.
[[nodiscard]] inline std::unexpected<Failure> refused(std::string what) {
  return std::unexpected(Failure{std::move(what), 0});
}

}  // namespace ppvmm::root

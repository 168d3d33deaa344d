/// A file descriptor that closes itself.
#pragma once

#include <string>
#include <system_error>
#include <utility>

namespace ppvmm::host {

/// Owns one descriptor, or none (-1).
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_{fd} {}
  Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Fd& operator=(Fd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1);

 private:
  int fd_{-1};
};

/// The error of the last system call, with `what` was being done to what.
[[nodiscard]] std::system_error system_failure(const std::string& what);

}  // namespace ppvmm::host

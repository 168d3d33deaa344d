/// What the clients saw, judged without knowing anything of the server: nodes that many write are
/// registers, and every answer must fit one order of all operations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ppvmm::simulation {

/// A moment in the simulation; later moments are larger.
using Moment = std::uint64_t;

class History {
 public:
  /// A write of a value never written before was sent.
  void write_sent(const std::string& path, const std::string& value, Moment now) {
    registers_[path].push_back({value, now, kNever});
  }
  /// Its answer came.
  void write_answered(const std::string& path, const std::string& value, Moment now) {
    for (Write& write : registers_[path]) {
      if (write.value == value) write.answered = now;
    }
  }
  /// Whether a read sent at `sent` and answered at `now` may give `value`: somebody wrote it before
  /// the answer came, and no other write lies wholly between that one and the read.
  [[nodiscard]] bool may_read(const std::string& path, const std::string& value, Moment sent,
                              Moment now) const {
    const auto at = registers_.find(path);
    if (at == registers_.end()) return false;
    const Write* found = nullptr;
    for (const Write& write : at->second) {
      if (write.value == value && write.sent <= now) found = &write;
    }
    if (found == nullptr) return false;
    for (const Write& write : at->second) {
      if (write.sent > found->answered && write.answered < sent) return false;
    }
    return true;
  }

 private:
  static constexpr Moment kNever = ~Moment{0};
  struct Write {
    std::string value;
    Moment sent;
    Moment answered;
  };
  std::map<std::string, std::vector<Write>> registers_;
};

}  // namespace ppvmm::simulation

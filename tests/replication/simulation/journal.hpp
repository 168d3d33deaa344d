/// Numbers every store of one domain into shared memory, and lets the domain die between any two:
/// an operation runs to its end, then the stores from the fatal one on are taken back. What the
/// outside sees is what a death at that instruction leaves behind.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "replication/shared_memory.hpp"

namespace ppvmm::simulation {

class Journal final : public replication::StoreObserver {
 public:
  /// The steps, in the domain's whole life, before which it dies: ascending, each used once.
  std::deque<std::uint64_t> deaths;

  void before_store(std::byte* at, std::size_t size) override {
    Undo undo{.at = at, .size = static_cast<std::uint8_t>(size), .old = {}};
    std::memcpy(undo.old.data(), at, size);
    undo_.push_back(undo);
  }

  /// Steps so far: stores, and one for the end of each operation.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

  /// Runs one operation. False if the domain died in it, or right after it.
  template <class Operation>
  [[nodiscard]] bool survive(const Operation& operation) {
    undo_.clear();
    operation();
    const std::uint64_t after = steps_ + undo_.size() + 1;
    if (deaths.empty() || deaths.front() >= after) {
      steps_ = after;
      return true;
    }
    const std::uint64_t kept = deaths.front() > steps_ ? deaths.front() - steps_ : 0;
    deaths.pop_front();
    while (undo_.size() > kept) {
      const Undo& undo = undo_.back();
      std::memcpy(undo.at, undo.old.data(), undo.size);
      undo_.pop_back();
    }
    steps_ += kept;
    return false;
  }

 private:
  struct Undo {
    std::byte* at;
    std::uint8_t size;
    std::array<std::byte, 8> old;
  };
  std::vector<Undo> undo_;
  std::uint64_t steps_{};
};

}  // namespace ppvmm::simulation

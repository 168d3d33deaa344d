/// Whether what netback found wrong with a vif is its front-end's doing.
///
/// What netback knows of a vif lies in memory that may have been damaged, so its word alone does
/// not disconnect anybody: a vif is made anew from its rings first, and looked at again.
#pragma once

#include <cstdint>
#include <optional>

namespace ppvmm::net {

class Accusations {
 public:
  /// Times that a vif is made anew before its front-end is thought to be the cause.
  static constexpr unsigned kMost = 8;
  /// Two offences within this time of each other are not chance.
  static constexpr std::uint64_t kWindowNs = 10'000'000'000;

  /// What is kept of the vif contradicts itself or its rings. True: make it anew; false: its
  /// front-end is the cause.
  [[nodiscard]] bool contradicted() { return ++count_ <= kMost; }

  /// Its front-end seems to have broken the protocol. Answers as contradicted() does.
  [[nodiscard]] bool offended(std::uint64_t now_ns) {
    const bool again = last_offence_ns_ && now_ns - *last_offence_ns_ < kWindowNs;
    last_offence_ns_ = now_ns;
    return contradicted() && !again;
  }

 private:
  unsigned count_{};
  std::optional<std::uint64_t> last_offence_ns_;
};

}  // namespace ppvmm::net

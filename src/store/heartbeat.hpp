/// A sign of life from work that takes long in proportion to the tree: dump, load, removal of a
/// large subtree, a checkpoint's check. Who watches from outside could not tell it from a hang.
#pragma once

#include <cstdint>

namespace ppvmm::store {

/// What a shell wants to be called now and then. Copied freely; the context must outlive all
/// copies. Called in the middle of things: it must not touch the store.
struct Heartbeat {
  void (*call)(void* context){};  ///< May be missing.
  void* context{};

  void operator()() const {
    if (call != nullptr) call(context);
  }
};

/// Passes on one of so many signs, since most of them come from short work.
class Pulse {
 public:
  explicit Pulse(Heartbeat heartbeat = {}) : heartbeat_{heartbeat} {}

  /// One node, or what costs about as much, is done.
  void step() {
    constexpr std::uint32_t kSteps = 256;
    if (++steps_ % kSteps == 0) heartbeat_();
  }

 private:
  Heartbeat heartbeat_;
  std::uint32_t steps_{};
};

}  // namespace ppvmm::store

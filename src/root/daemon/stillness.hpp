/// Keeps others off the processors for a moment. While a primary comes back its backups would work
/// off what they have not followed yet, write checkpoints and scrub: nobody waits for that, and on
/// a small host it takes the processor from the one for whom everybody waits.
#pragma once

#include <cstdint>
#include <vector>

#include "root/xen.hpp"

namespace ppvmm::root::daemon {

class Stillness {
 public:
  explicit Stillness(const Xen& xen) : xen_(&xen) {}
  /// Whoever is held goes on. Of a root that is killed the next one finds them paused, and repairs
  /// that.
  ~Stillness() { end(); }
  Stillness(const Stillness&) = delete;
  Stillness& operator=(const Stillness&) = delete;

  /// Pauses a domain until end(). One that is held already stays so.
  void hold(DomId domid, std::uint64_t now_ns);
  [[nodiscard]] bool holds(DomId domid) const;
  [[nodiscard]] bool any() const { return !held_.empty(); }
  /// Since when.
  [[nodiscard]] std::uint64_t since_ns() const { return since_ns_; }
  void end();

 private:
  const Xen* xen_;
  std::vector<DomId> held_;
  std::uint64_t since_ns_{};
};

}  // namespace ppvmm::root::daemon

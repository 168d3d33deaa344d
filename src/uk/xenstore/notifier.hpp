/// Notifications of one pass, sent together: one guest costs one hypercall, many cost one too
/// (public/xen.h, multicall).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "abi/xen.hpp"

namespace ppvmm::xenstore {

class Notifier {
 public:
  /// The other end of `port` wants an event. Once per pass and port is enough.
  void add(std::uint32_t port) { ports_.push_back(port); }
  [[nodiscard]] bool empty() const { return ports_.empty(); }
  /// Sends them all. A port that was closed meanwhile is passed over by Xen.
  void flush();

 private:
  std::vector<std::uint32_t> ports_;
  std::vector<evtchn_send_t> sends_;
  std::vector<multicall_entry_t> calls_;
};

}  // namespace ppvmm::xenstore

/// Looks at receive descriptors, which the device writes whenever it likes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>

#include "net/nic/drivers.hpp"
#include "net/nic/e1000e/regs.hpp"

namespace ppvmm::net::nic::e1000e {

inline ReceiveDescriptor* descriptor(const DmaPage& page, std::size_t index) {
  return reinterpret_cast<ReceiveDescriptor*>(page.data) + index;
}

/// One look at the status, and only when it says done, one copy of the rest. Nothing is read twice.
inline bool take_done(ReceiveDescriptor& shared, ReceiveDescriptor& copy) {
  const std::uint8_t status = std::atomic_ref{shared.status}.load(std::memory_order_acquire);
  if ((status & rx_status::kDone) == 0) return false;
  std::memcpy(&copy, &shared, sizeof copy);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  copy.status = status;
  // Ours until it is given back: whoever comes after us must not take it again.
  std::atomic_ref{shared.status}.store(0, std::memory_order_release);
  return true;
}

}  // namespace ppvmm::net::nic::e1000e

/// Copies between guests' granted pages and our buffers, or from guest to guest, collected to be
/// done by one hypercall.
#pragma once

#include <cstdint>
#include <span>

#include "net/netback/netif.hpp"

namespace ppvmm::net {

/// One piece: within one page on either side.
struct GrantCopy {
  enum class Direction : std::uint8_t { from_guest, to_guest, between_guests };

  abi::DomId domid{};  ///< Of the guest; between guests: of the receiver.
  Direction direction{};
  bool failed{};  ///< Out: Xen refused it.
  std::uint16_t guest_offset{};
  std::uint16_t buffer_offset{};  ///< In our buffer; between guests: in the sender's page.
  std::uint16_t length{};
  abi::DomId lender{};  ///< Between guests: the sender.
  abi::GrantRef grant{};
  std::uint32_t buffer{};  ///< Index in the pool; between guests: the sender's grant.
};

/// Who carries copies out: Xen, or a test.
class GrantCopier {
 public:
  GrantCopier() = default;
  GrantCopier(const GrantCopier&) = delete;
  GrantCopier& operator=(const GrantCopier&) = delete;
  /// Carries all of them out and says in each whether it failed. Any number, in order.
  virtual void copy(std::span<GrantCopy> batch) = 0;

 protected:
  ~GrantCopier() = default;
};

}  // namespace ppvmm::net

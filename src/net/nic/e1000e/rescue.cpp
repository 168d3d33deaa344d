// What the device had received when it is reset: datasheet chapter 7.1, "Receive Descriptor Queue
// Structure". Called when the device writes nothing any more and still says where it was.
#include <atomic>

#include "net/nic/e1000e/e1000e.hpp"
#include "net/nic/e1000e/receive_descriptor.hpp"

namespace ppvmm::net::nic::e1000e {

void E1000e::rescue() {
  rescuing_ = true;
  if (started_) {
    rescue_own();
  } else if (inherited_) {
    rescue_inherited();
  }
  inherited_ = false;
  rescuing_ = false;
  assembling_.reset();
  discarding_ = false;
}

void E1000e::rescue_own() {
  for (; receive_next_ != receive_tail_; receive_next_ = (receive_next_ + 1) % kRing) {
    ReceiveDescriptor done{};
    if (!take_done(*descriptor(receive_page_, receive_next_), done)) return;
    take_piece(done, receive_next_);
  }
}

/// The ring is another driver's, of which nothing is known. What it had taken is marked as not
/// done, so what is left to take ends right before the device's place.
void E1000e::rescue_inherited() {
  const std::uint64_t base = read(Reg::rdbal) | std::uint64_t{read(Reg::rdbah)} << 32;
  const std::uint32_t head = read(Reg::rdh);
  if (base != receive_page_.address || read(Reg::rdlen) != kRing * sizeof(ReceiveDescriptor) ||
      head >= kRing) {
    return;
  }
  const auto is_done = [&](std::size_t index) {
    const std::uint8_t status =
        std::atomic_ref{descriptor(receive_page_, index)->status}.load(std::memory_order_acquire);
    return (status & rx_status::kDone) != 0;
  };
  std::size_t first = head;
  std::size_t count = 0;
  while (count < kRing - 1 && is_done((first + kRing - 1) % kRing)) {
    first = (first + kRing - 1) % kRing;
    ++count;
  }
  // The device wrote there on the order of a driver that may have been damaged: a buffer is
  // believed only if it is the pool's and nobody's. All are claimed before any is taken for another
  // purpose.
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (first + i) % kRing;
    receive_buffers_[at] = pool_->claim(descriptor(receive_page_, at)->address);
  }
  // With frames of several buffers the first one may be the rest of one that was being taken.
  discarding_ = inherited_long_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (first + i) % kRing;
    ReceiveDescriptor done{};
    if (!take_done(*descriptor(receive_page_, at), done)) continue;
    if (receive_buffers_[at]) {
      take_piece(done, at);
    } else {
      assembling_.reset();
      discarding_ = (done.status & rx_status::kEnd) == 0;
    }
  }
}

}  // namespace ppvmm::net::nic::e1000e

// Receiving: datasheet chapter 7.1.
#include <atomic>

#include "net/nic/e1000e/e1000e.hpp"
#include "net/nic/e1000e/receive_descriptor.hpp"

namespace ppvmm::net::nic::e1000e {

void E1000e::give_to_device(std::size_t index) {
  ReceiveDescriptor& shared = *descriptor(receive_page_, index);
  shared = {.address = receive_buffers_[index].dma(),
            .length = 0,
            .checksum = 0,
            .status = 0,
            .errors = 0,
            .vlan = 0};
}

/// Gives the device every descriptor but the one that stays ours (10.2.5.9).
void E1000e::refill() {
  bool moved = false;
  for (std::size_t next = (receive_tail_ + 1) % kRing; next != receive_next_;
       next = (next + 1) % kRing) {
    if (!receive_buffers_[receive_tail_]) receive_buffers_[receive_tail_] = pool_->take();
    if (!receive_buffers_[receive_tail_]) {
      ++statistics_.rx_no_buffer;
      break;
    }
    give_to_device(receive_tail_);
    receive_tail_ = next;
    moved = true;
  }
  if (!moved) return;
  std::atomic_thread_fence(std::memory_order_release);
  write(Reg::rdt, static_cast<std::uint32_t>(receive_tail_));
}

std::size_t E1000e::receive(std::size_t budget) {
  constexpr std::size_t kBatch = 32;
  std::size_t frames = 0;
  // Also bounded by descriptors, for a device that never ends a frame.
  for (std::size_t looked = 1; frames < budget && looked <= 2 * budget + kRing; ++looked) {
    if (receive_next_ == receive_tail_) break;  // all that the device had
    ReceiveDescriptor done{};
    if (!take_done(*descriptor(receive_page_, receive_next_), done)) break;
    take_piece(done, receive_next_);
    receive_next_ = (receive_next_ + 1) % kRing;
    if ((done.status & rx_status::kEnd) != 0) ++frames;
    if (looked % kBatch == 0) refill();
  }
  refill();
  return frames;
}

void E1000e::take_piece(const ReceiveDescriptor& done, std::size_t index) {
  const bool end = (done.status & rx_status::kEnd) != 0;
  if (discarding_) {
    discarding_ = !end;
    return;
  }
  const auto drop = [&](std::uint64_t& counter) {
    ++counter;
    assembling_.reset();
    discarding_ = !end;
  };
  const std::size_t so_far = assembling_ ? assembling_.length() : 0;
  // A frame that carries one VLAN tag more than the largest packet is the longest there can be.
  if (done.length == 0 || done.length > kBufferBytes ||
      so_far + done.length > std::size_t{kMtuMax} + 18) {
    device_error_ = device_error_ || done.length > kBufferBytes;
    return drop(statistics_.rx_malformed);
  }
  if (end && (done.errors & rx_error::kFrame) != 0) return drop(statistics_.rx_errors);
  if (end && so_far == 0 && done.length < 14) return drop(statistics_.rx_malformed);
  if (!assembling_) assembling_ = pool_->frame();
  Buffer fresh = pool_->take();
  if (!assembling_ || !fresh) return drop(statistics_.rx_no_buffer);
  // The full buffer goes into the frame, the fresh one takes its place.
  std::swap(receive_buffers_[index], fresh);
  if (!assembling_.append(std::move(fresh), 0, done.length)) {
    return drop(statistics_.rx_malformed);
  }
  if (!end) return;

  const bool checked = (done.status & rx_status::kIgnoreChecksum) == 0 &&
                       (done.status & (rx_status::kTcpChecked | rx_status::kUdpChecked)) != 0;
  assembling_.offload().data_validated =
      checked && (done.errors & (rx_error::kTcpUdp | rx_error::kIp)) == 0;
  ++statistics_.rx_packets;
  statistics_.rx_bytes += assembling_.length();
  hand_over(std::move(assembling_));
}

void E1000e::hand_over(Frame frame) {
  if (!rescuing_) {
    client_->received(std::move(frame));
  } else if (rescued_count_ < rescued_.size()) {
    rescued_[rescued_count_++] = std::move(frame);
  }
}

}  // namespace ppvmm::net::nic::e1000e

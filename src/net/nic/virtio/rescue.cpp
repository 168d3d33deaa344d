// What the device had received when it is reset: VIRTIO 1.2, 2.7.8. Called when it is quiet and its
// queues are still as they were.
#include "net/nic/virtio/virtio_net.hpp"

namespace ppvmm::net::nic::virtio {

void VirtioNet::rescue() {
  rescuing_ = true;
  if (started_) {
    while (const auto used = receive_queue_.take())
      (void)take_piece(*used);
  } else if (inherited_) {
    std::array<Queue::Left, kQueueEntriesMax> left;
    const std::size_t count = receive_queue_.left_behind(left);
    for (std::size_t i = 0; i < count; ++i) {
      // A buffer is believed only if it is the pool's and nobody's.
      receive_buffers_[left[i].id] = pool_->claim(left[i].address);
      (void)take_piece({.id = left[i].id, .length = left[i].length});
    }
  }
  inherited_ = false;
  rescuing_ = false;
}

void VirtioNet::hand_over(Frame frame) {
  if (!rescuing_) {
    client_->received(std::move(frame));
  } else if (rescued_count_ < rescued_.size()) {
    rescued_[rescued_count_++] = std::move(frame);
  }
}

}  // namespace ppvmm::net::nic::virtio

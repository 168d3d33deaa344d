#include "net/nic/virtio/queue.hpp"

#include <atomic>
#include <cstring>

namespace ppvmm::net::nic::virtio {

Queue::Queue(DmaPage descriptors, DmaPage available, DmaPage used)
    : descriptors_(descriptors), available_(available), used_(used) {}

Descriptor& Queue::descriptor(std::uint16_t index) const {
  return reinterpret_cast<Descriptor*>(descriptors_.data)[index];
}
AvailableRing& Queue::available_ring() const {
  return *reinterpret_cast<AvailableRing*>(available_.data);
}
UsedRing& Queue::used_ring() const {
  return *reinterpret_cast<UsedRing*>(used_.data);
}

Queue::Place& Queue::place() const {
  static_assert(sizeof(AvailableRing) + sizeof(Place) <= kBufferBytes);
  return *reinterpret_cast<Place*>(available_.data + kBufferBytes - sizeof(Place));
}

void Queue::note_place() {
  place() = {.size = size_,
             .taken = taken_,
             .check = ~(std::uint32_t{size_} << 16 | std::uint32_t{taken_})};
}

std::size_t Queue::left_behind(std::span<Left, kQueueEntriesMax> left) const {
  const Place at = place();
  const std::uint16_t index = used_index();
  const auto count = static_cast<std::uint16_t>(index - at.taken);
  if (at.check != ~(std::uint32_t{at.size} << 16 | std::uint32_t{at.taken}) || at.size == 0 ||
      at.size > kQueueEntriesMax || count > at.size) {
    return 0;
  }
  std::size_t found = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    UsedEntry entry;
    std::memcpy(&entry, &used_ring().ring[static_cast<std::uint16_t>(at.taken + i) % at.size],
                sizeof entry);
    if (entry.id >= at.size) return found;
    const auto id = static_cast<std::uint16_t>(entry.id);
    left[found++] = {.id = id, .address = descriptor(id).address, .length = entry.length};
  }
  return found;
}

void Queue::reset(std::uint16_t size) {
  size_ = free_ = size;
  first_free_ = added_ = published_ = taken_ = 0;
  broken_ = false;
  for (std::uint16_t i = 0; i < size; ++i)
    next_[i] = static_cast<std::uint16_t>(i + 1);
  length_ = {};
  std::memset(descriptors_.data, 0, kBufferBytes);
  std::memset(available_.data, 0, sizeof(AvailableRing));
  std::memset(used_.data, 0, sizeof(UsedRing));
  note_place();
}

std::optional<std::uint16_t> Queue::add(std::span<const Piece> out, std::span<const Piece> in) {
  const std::size_t count = out.size() + in.size();
  if (count == 0 || count > free_ || broken_) return std::nullopt;
  const std::uint16_t head = first_free_;
  std::uint16_t at = head;
  for (std::size_t i = 0; i < count; ++i) {
    const bool writes = i >= out.size();
    const Piece& piece = writes ? in[i - out.size()] : out[i];
    const bool last = i + 1 == count;
    const std::uint16_t following = next_[at];
    descriptor(at) = {.address = piece.address,
                      .length = piece.length,
                      .flags = static_cast<std::uint16_t>((writes ? kFlagDeviceWrites : 0) |
                                                          (last ? 0 : kFlagNext)),
                      .next = last ? std::uint16_t{0} : following};
    at = following;
  }
  first_free_ = at;
  free_ = static_cast<std::uint16_t>(free_ - count);
  length_[head] = static_cast<std::uint16_t>(count);
  available_ring().ring[added_ % size_] = head;
  ++added_;
  return head;
}

bool Queue::publish() {
  if (published_ == added_) return false;
  published_ = added_;
  // 2.7.13: entries before the index, the index before the look at the device's flags.
  std::atomic_ref{available_ring().index}.store(added_, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return (std::atomic_ref{used_ring().flags}.load(std::memory_order_relaxed) & kSuppress) == 0;
}

std::uint16_t Queue::used_index() const {
  return std::atomic_ref{used_ring().index}.load(std::memory_order_acquire);
}

bool Queue::ready() const {
  return !broken_ && used_index() != taken_;
}

std::optional<Queue::Used> Queue::take() {
  if (broken_) return std::nullopt;
  const std::uint16_t index = used_index();
  if (index == taken_) return std::nullopt;
  UsedEntry entry;
  std::memcpy(&entry, &used_ring().ring[taken_ % size_], sizeof entry);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // More used than was out, or something used that is not out.
  if (static_cast<std::uint16_t>(index - taken_) > size_ || entry.id >= size_ ||
      length_[entry.id] == 0) {
    broken_ = true;
    return std::nullopt;
  }
  ++taken_;
  note_place();
  const auto id = static_cast<std::uint16_t>(entry.id);
  std::uint16_t last = id;
  for (std::uint16_t i = 1; i < length_[id]; ++i)
    last = next_[last];
  free_ = static_cast<std::uint16_t>(free_ + length_[id]);
  length_[id] = 0;
  next_[last] = first_free_;
  first_free_ = id;
  return Used{.id = id, .length = entry.length};
}

void Queue::interrupts(bool wanted) {
  std::atomic_ref{available_ring().flags}.store(wanted ? 0 : kSuppress, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace ppvmm::net::nic::virtio

/// One shared ring page as a back-end sees it (io/ring.h), and the note in it that makes answering
/// repeatable.
///
/// The page is the front-end's and may change at any time: what is read is read once. Indexes run
/// freely modulo 2^32. Responses are produced in the order of the requests, each in its request's
/// slot, so that [response producer, request producer) is exactly what is not answered yet, for us
/// and for whoever is reborn in our place.
///
/// A response overwrites its request, and becomes visible only with the producer index. To die in
/// between must not make a request out of half a response, so the end of the range that is being
/// answered is noted first, in the padding of the ring's header: front-ends clear it when they make
/// the ring and never look at it again (SHARED_RING_INIT). It lies in the front-end's memory and so
/// outlives even a rebuilt domain. What it says is checked; a front-end that writes there only
/// confuses its own vif.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/netback/netif.hpp"

namespace ppvmm::net {

class SharedRing {
 public:
  /// `page`: kPageBytes bytes, aligned to 8. `slot_bytes`: 12 (TX) or 8 (RX).
  SharedRing(std::byte* page, std::size_t slot_bytes) : page_(page), slot_bytes_(slot_bytes) {}

  [[nodiscard]] std::uint32_t requests() const {
    return load(offsetof(netif_tx_sring_t, req_prod));
  }
  [[nodiscard]] std::uint32_t responses() const {
    return load(offsetof(netif_tx_sring_t, rsp_prod));
  }

  /// Wants an event once the front-end's producer index reaches `index`. The caller looks for
  /// requests once more afterwards.
  void wake_at(std::uint32_t index) {
    store(offsetof(netif_tx_sring_t, req_event), index);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  }

  /// Notes that the slots up to `end` are about to become responses.
  void announce(std::uint32_t end) {
    const std::uint64_t note = end | std::uint64_t{end ^ kNoteKey} << 32;
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(page_ + kNoteOffset), note, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  }
  /// How many slots after the response producer were being answered when an earlier incarnation
  /// died; 0 if none, or if the note is none of ours.
  [[nodiscard]] std::uint32_t announced() const {
    const std::uint64_t note = __atomic_load_n(
        reinterpret_cast<const std::uint64_t*>(page_ + kNoteOffset), __ATOMIC_ACQUIRE);
    const auto end = static_cast<std::uint32_t>(note);
    if (static_cast<std::uint32_t>(note >> 32) != (end ^ kNoteKey)) return 0;
    const std::uint32_t count = end - responses();
    return count <= kRingSlots ? count : 0;
  }

  /// Makes the responses before `end` visible. True if the front-end wants an event.
  [[nodiscard]] bool publish(std::uint32_t end) {
    const std::uint32_t before = responses();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    store(offsetof(netif_tx_sring_t, rsp_prod), end);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return end - load(offsetof(netif_tx_sring_t, rsp_event)) < end - before;
  }

  /// Copies a slot out, once. `T` is at most a slot long.
  template <typename T>
  [[nodiscard]] T read(std::uint32_t index) const {
    T copy;
    std::memcpy(&copy, slot(index), sizeof copy);
    // From here on only the copy counts: the compiler must not look at the shared bytes again.
    asm volatile("" ::: "memory");
    return copy;
  }
  template <typename T>
  void write(std::uint32_t index, const T& value, std::size_t offset = 0) {
    std::memcpy(slot(index) + offset, &value, sizeof value);
    asm volatile("" ::: "memory");
  }

 private:
  static constexpr std::size_t kHeaderBytes = offsetof(netif_tx_sring_t, ring);
  static constexpr std::size_t kNoteOffset = 24;
  static constexpr std::uint32_t kNoteKey = 0x5050764Du;
  static_assert(offsetof(netif_tx_sring_t, pvt) + sizeof(netif_tx_sring_t::pvt) <= kNoteOffset);
  static_assert(kNoteOffset + sizeof(std::uint64_t) <= kHeaderBytes);

  [[nodiscard]] std::byte* slot(std::uint32_t index) const {
    return page_ + kHeaderBytes + slot_bytes_ * (index % kRingSlots);
  }
  [[nodiscard]] std::uint32_t load(std::size_t offset) const {
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(page_ + offset),
                           __ATOMIC_ACQUIRE);
  }
  void store(std::size_t offset, std::uint32_t value) {
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(page_ + offset), value, __ATOMIC_RELEASE);
  }

  std::byte* page_;
  std::size_t slot_bytes_;
};

}  // namespace ppvmm::net

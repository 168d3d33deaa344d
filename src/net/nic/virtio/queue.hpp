/// The driver's side of a split virtqueue (VIRTIO 1.2, 2.7). Pure.
///
/// Which descriptors are free and which chain they form is kept here and never read back from the
/// shared tables: a device that scribbles over them harms only its own packets. What the device
/// says it used is checked: an index that jumps too far, or an id that was not out, breaks the
/// queue until it is made anew.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "net/nic/drivers.hpp"
#include "net/nic/virtio/regs.hpp"

namespace ppvmm::net::nic::virtio {

/// A piece of memory of a chain.
struct Piece {
  DmaAddress address;
  std::uint32_t length;
};

class Queue {
 public:
  /// Three pages: descriptors, available ring, used ring.
  Queue(DmaPage descriptors, DmaPage available, DmaPage used);

  /// Everything empty, `size` entries: a power of two, at most kQueueEntriesMax.
  void reset(std::uint16_t size);
  [[nodiscard]] std::uint16_t size() const { return size_; }
  [[nodiscard]] std::uint16_t free() const { return free_; }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] const DmaPage& descriptors() const { return descriptors_; }
  [[nodiscard]] const DmaPage& available() const { return available_; }
  [[nodiscard]] const DmaPage& used() const { return used_; }

  /// Puts a chain into the queue: `out` is read by the device, `in` written. The head's id, by
  /// which take() brings it back; nothing if there are not enough descriptors. Not visible to the
  /// device before publish().
  [[nodiscard]] std::optional<std::uint16_t> add(std::span<const Piece> out,
                                                 std::span<const Piece> in);
  /// The id that the next add() will give.
  [[nodiscard]] std::uint16_t next_head() const { return first_free_; }
  /// Shows the device what was added. True: it wants to be notified.
  [[nodiscard]] bool publish();

  struct Used {
    std::uint16_t id;
    std::uint32_t length;  ///< Bytes the device says it wrote: not checked.
  };
  /// The next chain that the device is done with; its descriptors are free again.
  [[nodiscard]] std::optional<Used> take();
  /// What the device had used and an earlier queue over the same pages had not taken when it died.
  struct Left {
    std::uint16_t id;
    DmaAddress address;  ///< Of the chain's first piece.
    std::uint32_t length;
  };
  /// For receive queues, whose chains are one piece each; before reset(), with the device quiet.
  /// Returns how many of `left` were filled.
  [[nodiscard]] std::size_t left_behind(std::span<Left, kQueueEntriesMax> left) const;
  /// take() would give something, or find the queue broken.
  [[nodiscard]] bool ready() const;

  /// Asks the device to interrupt, or not to; only a hint.
  void interrupts(bool wanted);
  /// How far the device has got, and how far we have: for health().
  [[nodiscard]] std::uint16_t used_index() const;
  [[nodiscard]] std::uint16_t available_index() const { return added_; }

 private:
  /// Where we are in the used ring, for whoever comes after us: at the end of the available ring's
  /// page, which the device reads and does not write.
  struct Place {
    std::uint16_t size;
    std::uint16_t taken;
    std::uint32_t check;  ///< The complement of both.
  };
  void note_place();
  [[nodiscard]] Place& place() const;

  [[nodiscard]] Descriptor& descriptor(std::uint16_t index) const;
  [[nodiscard]] AvailableRing& available_ring() const;
  [[nodiscard]] UsedRing& used_ring() const;

  DmaPage descriptors_;
  DmaPage available_;
  DmaPage used_;
  std::uint16_t size_{};
  std::uint16_t free_{};
  std::uint16_t first_free_{};
  std::uint16_t added_{};  ///< Index of the next entry of the available ring.
  std::uint16_t published_{};
  std::uint16_t taken_{};  ///< Index of the next entry of the used ring.
  bool broken_{};
  std::array<std::uint16_t, kQueueEntriesMax> next_{};    ///< Free list, and links of chains.
  std::array<std::uint16_t, kQueueEntriesMax> length_{};  ///< Of the chain with that head; 0: none.
};

}  // namespace ppvmm::net::nic::virtio

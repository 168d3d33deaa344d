/// What a guest sends: the back-end's end of a TX ring (io/netif.h, "Guest transmit").
///
/// A packet is read with next(), held for as long as it takes, and ended with done(). Responses are
/// written in the order of the requests when push() is called; a packet that is not ended keeps
/// those after it waiting. So a back-end that answers only what the wire (or the receiver) has, and
/// then dies, finds all the rest still in the ring.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>

#include "net/frame.hpp"
#include "net/netback/shared_ring.hpp"

namespace ppvmm::net {

/// A piece of a packet in the guest's memory; offset + length <= 4096.
struct TxFragment {
  abi::GrantRef grant{};
  std::uint16_t offset{};
  std::uint16_t length{};
};

/// One packet, checked: its pieces add up to `length`.
struct TxPacket {
  std::uint32_t first{};  ///< Ring index of its first slot: its name for done().
  std::uint16_t slots{};  ///< Slots it takes, extra infos included.
  std::uint8_t count{};   ///< Pieces.
  bool checksum_blank{};
  bool data_validated{};
  bool droppable{};  ///< Cannot be sent, but is no crime: end it with an error.
  Gso gso{Gso::none};
  std::uint16_t gso_size{};
  std::uint32_t length{};
  std::array<TxFragment, kFragmentsMax> fragments{};

  [[nodiscard]] std::span<const TxFragment> pieces() const { return {fragments.data(), count}; }
};

enum class TxStatus : std::int16_t {
  okay = NETIF_RSP_OKAY,
  error = NETIF_RSP_ERROR,
  dropped = NETIF_RSP_DROPPED,
};

class TxRing {
 public:
  /// Goes on from where the ring's indexes point: a fresh ring and an adopted one are the same.
  /// `page` must stay mapped.
  explicit TxRing(std::byte* page);

  /// Completes what an earlier incarnation was answering. Returns how many requests are unanswered
  /// and will be carried out, perhaps for a second time.
  [[nodiscard]] std::expected<std::uint32_t, Hostile> adopt();

  /// The next packet. False if there is none yet.
  [[nodiscard]] std::expected<bool, Hostile> next(TxPacket& packet);
  /// Gives the packet that next() returned last back unread: there is no room for it now.
  void put_back(const TxPacket& packet) { consumed_ = packet.first; }
  /// The packet that began at slot `first` needs `more` calls of done() before it is answered,
  /// beyond the one it needs anyway.
  void hold(std::uint32_t first, std::uint16_t more);
  /// One holder is through with it. The worst status counts.
  void done(std::uint32_t first, TxStatus status);
  /// Writes the responses that can be written. True if the front-end wants an event.
  [[nodiscard]] bool push();
  /// To be called before sleeping: asks for an event at the next request. True if there is work
  /// after all.
  [[nodiscard]] bool sleep();

  /// Slots read and not answered.
  [[nodiscard]] std::uint32_t held() const { return consumed_ - answered_; }
  [[nodiscard]] std::uint32_t unread() const { return ring_.requests() - consumed_; }
  /// Indexes of the next request to be read, and to be answered.
  [[nodiscard]] std::uint32_t read() const { return consumed_; }
  [[nodiscard]] std::uint32_t answered() const { return answered_; }
  /// What it knows fits together, and to the ring. Not so: it was damaged, or the front-end writes
  /// where only we do.
  [[nodiscard]] bool sound() const {
    return held() <= kRingSlots && answered_ == ring_.responses();
  }

 private:
  /// One slot that was read. Those of extra infos get no id and the status NETIF_RSP_NULL.
  struct Slot {
    std::uint16_t id{};
    std::uint16_t slots{};    ///< First slot of a packet: how many it has. Else 0.
    std::uint16_t holders{};  ///< First slot: calls of done() still to come.
    std::int16_t status{};
    bool extra{};
  };

  [[nodiscard]] Slot& at(std::uint32_t index) { return slots_[index % kRingSlots]; }
  [[nodiscard]] std::expected<void, Hostile> read_extras(TxPacket& packet, std::uint32_t available);
  [[nodiscard]] std::expected<void, Hostile> read_fragments(TxPacket& packet,
                                                            std::uint32_t available, bool more);
  void answer(std::uint32_t index, std::uint16_t id, std::int16_t status, bool extra);

  SharedRing ring_;
  std::uint32_t consumed_;  ///< Next request to read.
  std::uint32_t answered_;  ///< Next slot to answer.
  std::array<Slot, kRingSlots> slots_{};
};

}  // namespace ppvmm::net

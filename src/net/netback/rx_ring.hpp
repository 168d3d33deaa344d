/// What a guest receives: the back-end's end of an RX ring (io/netif.h, "Guest receive").
///
/// Each request is an empty page of the guest's. A packet takes as many as it needs, one after the
/// other, plus one for its segmentation info. Nothing becomes visible before publish(): a back-end
/// that dies meanwhile leaves the buffers where they are, to be filled by the next one.
#pragma once

#include <array>
#include <cstdint>
#include <expected>

#include "net/frame.hpp"
#include "net/netback/shared_ring.hpp"

namespace ppvmm::net {

class RxRing {
 public:
  /// Goes on from where the ring's indexes point. `page` must stay mapped.
  explicit RxRing(std::byte* page);

  /// Completes what an earlier incarnation was answering: those buffers go back as errors, since
  /// nobody knows what was in which. Returns how many.
  [[nodiscard]] std::expected<std::uint32_t, Hostile> adopt();

  /// Empty buffers that are not promised to a packet yet.
  [[nodiscard]] std::expected<std::uint32_t, Hostile> available() const;
  /// Takes the next buffer for a piece of a packet: its grant. Only as many as available() said.
  [[nodiscard]] abi::GrantRef take();
  /// Takes the next buffer's slot for an extra info.
  void take_extra(const netif_extra_info_t& info);
  /// Buffers taken since the last publish(); the next one taken has this place.
  [[nodiscard]] std::uint32_t taken() const { return taken_; }
  /// Says what lies in the buffer taken as the `place`th. `length` < 0: NETIF_RSP_*.
  void fill(std::uint32_t place, std::uint16_t flags, std::int16_t length);

  /// Between two passes: what it knows fits to the ring.
  [[nodiscard]] bool sound() const { return taken_ == 0 && answered_ == ring_.responses(); }

  /// Makes everything taken visible. True if the front-end wants an event.
  [[nodiscard]] bool publish();
  /// Asks for an event when `wanted` buffers are there. True if they are already.
  [[nodiscard]] bool sleep(std::uint32_t wanted);

 private:
  struct Answer {
    bool extra{};
    netif_rx_response_t response{};
    netif_extra_info_t info{};
  };

  SharedRing ring_;
  std::uint32_t answered_;
  std::uint32_t taken_{};
  std::array<Answer, kRingSlots> answers_{};  ///< Of the slots taken, from `answered_` on.
};

}  // namespace ppvmm::net

/// Xen's network protocol (public header io/netif.h), with sizes checked.
#pragma once

#include <string_view>

#include "abi/xen.hpp"

extern "C" {
#include <xen/io/netif.h>
}

namespace ppvmm::net {

static_assert(sizeof(netif_tx_request_t) == 12);
static_assert(sizeof(netif_tx_response_t) == 4);
static_assert(sizeof(netif_rx_request_t) == 8);
static_assert(sizeof(netif_rx_response_t) == 8);
static_assert(sizeof(netif_extra_info_t) == 8);
static_assert(offsetof(netif_tx_request_t, id) == 8);
static_assert(offsetof(netif_tx_sring_t, ring) == 64);
static_assert(offsetof(netif_rx_sring_t, ring) == 64);

/// Slots of a ring in one page: 4096 - 64 bytes hold 336 (TX) and 504 (RX), rounded down to a power
/// of two (io/ring.h, __RING_SIZE).
inline constexpr std::uint32_t kRingSlots = 256;

/// Why a front-end is not believed any more: it did what a correct one cannot do. Its vif is
/// disconnected.
enum class Hostile : std::uint8_t {
  ring_overflow,   ///< More requests than the ring has slots.
  chain_cut,       ///< A packet announces more slots than were produced.
  chain_too_long,  ///< A packet of more slots than any front-end may use.
  bad_fragment,    ///< A piece crosses its page, or is larger than what is left of the packet.
  bad_extra,       ///< An extra info of unknown type, or twice the same.
  bad_gso,         ///< Segmentation of unknown kind, or into segments of no bytes.
  bad_grants,      ///< Too many grants that Xen refuses.
  event_storm,     ///< Notifications without work, without end.
};
[[nodiscard]] std::string_view text_of(Hostile reason);

}  // namespace ppvmm::net

#include "net/netback/tx_ring.hpp"

#include <algorithm>

namespace ppvmm::net {
namespace {

/// Slots without extra infos beyond which a front-end is hostile. Between this and
/// XEN_NETIF_NR_SLOTS_MIN lie front-ends whose kernel had larger fragment arrays: such a packet is
/// refused, the front-end is not.
constexpr std::uint32_t kSlotsMax = 20;
/// A packet that does not even hold an Ethernet header.
constexpr std::uint32_t kShortest = 14;
constexpr std::size_t kPageBytes = 4096;

}  // namespace

std::string_view text_of(Hostile reason) {
  switch (reason) {
    case Hostile::ring_overflow:
      return "more requests than the ring has slots";
    case Hostile::chain_cut:
      return "a packet whose slots are missing";
    case Hostile::chain_too_long:
      return "a packet of too many slots";
    case Hostile::bad_fragment:
      return "a piece beyond its page or its packet";
    case Hostile::bad_extra:
      return "an extra info of unknown type";
    case Hostile::bad_gso:
      return "an impossible segmentation";
    case Hostile::bad_grants:
      return "too many grants that Xen refuses";
    case Hostile::event_storm:
      return "events without end and without work";
  }
  return "unknown";
}

TxRing::TxRing(std::byte* page)
    : ring_(page, sizeof(netif_tx_request_t)), consumed_(ring_.responses()), answered_(consumed_) {}

std::expected<std::uint32_t, Hostile> TxRing::adopt() {
  const std::uint32_t waiting = ring_.requests() - answered_;
  if (waiting > kRingSlots) return std::unexpected(Hostile::ring_overflow);
  const std::uint32_t torn = std::min(ring_.announced(), waiting);
  // These packets were through: only the answer is missing. A response covers a request's first
  // four bytes, one for an extra info the third and fourth: what is needed here is still there.
  bool extra = false;
  for (std::uint32_t i = 0; i < torn; ++i) {
    const std::uint32_t index = answered_ + i;
    if (extra) {
      const auto info = ring_.read<netif_extra_info_t>(index);
      answer(index, 0, NETIF_RSP_NULL, true);
      extra = (info.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
    } else {
      const auto request = ring_.read<netif_tx_request_t>(index);
      answer(index, request.id, NETIF_RSP_OKAY, false);
      extra = (request.flags & NETTXF_extra_info) != 0;
    }
  }
  if (torn > 0) {
    consumed_ += torn;
    answered_ += torn;
    (void)ring_.publish(answered_);  // whoever adopts tells the front-end in any case
  }
  return waiting - torn;
}

std::expected<bool, Hostile> TxRing::next(TxPacket& packet) {
  const std::uint32_t requests = ring_.requests();
  if (requests - answered_ > kRingSlots) return std::unexpected(Hostile::ring_overflow);
  const std::uint32_t available = requests - consumed_;
  if (available == 0) return false;

  const auto first = ring_.read<netif_tx_request_t>(consumed_);
  packet.first = consumed_;
  packet.slots = 1;
  packet.count = 1;
  packet.checksum_blank = (first.flags & NETTXF_csum_blank) != 0;
  packet.data_validated = (first.flags & NETTXF_data_validated) != 0;
  packet.droppable = false;
  packet.gso = Gso::none;
  packet.gso_size = 0;
  packet.length = first.size;
  packet.fragments[0] = {.grant = first.gref, .offset = first.offset, .length = first.size};
  at(consumed_) = {.id = first.id, .slots = 1, .holders = 1, .status = NETIF_RSP_OKAY, .extra = {}};

  if ((first.flags & NETTXF_extra_info) != 0) {
    if (const auto read = read_extras(packet, available); !read) {
      return std::unexpected(read.error());
    }
  }
  const bool more = (first.flags & NETTXF_more_data) != 0;
  if (const auto read = read_fragments(packet, available, more); !read) {
    return std::unexpected(read.error());
  }
  if (packet.length < kShortest) packet.droppable = true;
  at(consumed_).slots = packet.slots;
  consumed_ += packet.slots;
  return true;
}

std::expected<void, Hostile> TxRing::read_extras(TxPacket& packet, std::uint32_t available) {
  bool more = true;
  std::uint32_t seen = 0;
  while (more) {
    if (packet.slots >= available) return std::unexpected(Hostile::chain_cut);
    const std::uint32_t index = consumed_ + packet.slots;
    const auto info = ring_.read<netif_extra_info_t>(index);
    if (info.type == XEN_NETIF_EXTRA_TYPE_NONE || info.type >= XEN_NETIF_EXTRA_TYPE_MAX ||
        (seen & 1u << info.type) != 0) {
      return std::unexpected(Hostile::bad_extra);
    }
    seen |= 1u << info.type;
    at(index) = {.id = 0, .slots = 0, .holders = 0, .status = NETIF_RSP_NULL, .extra = true};
    ++packet.slots;
    more = (info.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
    if (info.type == XEN_NETIF_EXTRA_TYPE_GSO) {
      if (info.u.gso.size == 0) return std::unexpected(Hostile::bad_gso);
      switch (info.u.gso.type) {
        case XEN_NETIF_GSO_TYPE_TCPV4:
          packet.gso = Gso::tcp_v4;
          break;
        case XEN_NETIF_GSO_TYPE_TCPV6:
          packet.gso = Gso::tcp_v6;
          break;
        default:
          return std::unexpected(Hostile::bad_gso);
      }
      packet.gso_size = info.u.gso.size;
    } else if (info.type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD ||
               info.type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL) {
      // A change of a multicast filter that was never offered: carries no packet.
      packet.droppable = true;
    }
  }
  return {};
}

std::expected<void, Hostile> TxRing::read_fragments(TxPacket& packet, std::uint32_t available,
                                                    bool more) {
  // The first slot says the length of all, its own is what the others leave of it.
  std::uint32_t left = packet.length;
  std::uint32_t chain = 1;
  while (more) {
    if (packet.slots >= available) return std::unexpected(Hostile::chain_cut);
    if (++chain > kSlotsMax) return std::unexpected(Hostile::chain_too_long);
    const std::uint32_t index = consumed_ + packet.slots;
    const auto request = ring_.read<netif_tx_request_t>(index);
    at(index) = {
        .id = request.id, .slots = 0, .holders = 0, .status = NETIF_RSP_OKAY, .extra = false};
    ++packet.slots;
    if (request.size == 0 || request.size > left || request.offset + request.size > kPageBytes) {
      return std::unexpected(Hostile::bad_fragment);
    }
    left -= request.size;
    if (packet.count < kFragmentsMax) {
      packet.fragments[packet.count++] = {
          .grant = request.gref, .offset = request.offset, .length = request.size};
    } else {
      packet.droppable = true;
    }
    more = (request.flags & NETTXF_more_data) != 0;
  }
  TxFragment& first = packet.fragments[0];
  if (first.offset + left > kPageBytes) return std::unexpected(Hostile::bad_fragment);
  first.length = static_cast<std::uint16_t>(left);
  // A first slot without bytes is no crime in itself, but no back-end has ever sent such a packet.
  if (left == 0) packet.droppable = true;
  return {};
}

void TxRing::hold(std::uint32_t first, std::uint16_t more) {
  Slot& slot = at(first);
  if (slot.holders > 0) slot.holders = static_cast<std::uint16_t>(slot.holders + more);
}

void TxRing::done(std::uint32_t first, TxStatus status) {
  Slot& slot = at(first);
  if (slot.slots == 0 || slot.holders == 0 || first - answered_ >= held()) return;
  --slot.holders;
  slot.status = std::min(slot.status, static_cast<std::int16_t>(status));
}

bool TxRing::push() {
  std::uint32_t end = answered_;
  while (end != consumed_ && at(end).holders == 0)
    end += at(end).slots;
  if (end == answered_) return false;
  ring_.announce(end);
  std::int16_t status = NETIF_RSP_OKAY;
  for (; answered_ != end; ++answered_) {
    const Slot& slot = at(answered_);
    if (slot.slots > 0) status = slot.status;
    answer(answered_, slot.id, slot.extra ? std::int16_t{NETIF_RSP_NULL} : status, slot.extra);
  }
  return ring_.publish(end);
}

void TxRing::answer(std::uint32_t index, std::uint16_t id, std::int16_t status, bool extra) {
  if (extra) {
    ring_.write(index, status, offsetof(netif_tx_response_t, status));
  } else {
    ring_.write(index, netif_tx_response_t{.id = id, .status = status});
  }
}

bool TxRing::sleep() {
  if (unread() != 0) return true;
  ring_.wake_at(consumed_ + 1);
  return unread() != 0;
}

}  // namespace ppvmm::net

#include "attacks.hpp"

#include <algorithm>
#include <array>

namespace ppvmm::test {
namespace {

using kernel::time::kMillisecond;

constexpr std::uint16_t kPacket = 60;
constexpr unsigned kStormEvents = 2000;

Request good(FrontEnd& front) {
  return {.grant = front.data_grant(), .offset = 0, .flags = 0, .id = 7, .size = kPacket};
}

void indexes(FrontEnd& front, unsigned) {
  __atomic_store_n(&front.tx().req_prod, front.tx().req_prod + 10'000, __ATOMIC_SEQ_CST);
}
void receive_indexes(FrontEnd& front, unsigned round) {
  __atomic_store_n(&front.rx().req_prod, front.rx().req_prod + 70'000, __ATOMIC_SEQ_CST);
  // Somebody has to send to us for the ring to be looked at: ourselves, by a broadcast's answer.
  front.send(good(front));
  static_cast<void>(round);
}
void backwards(FrontEnd& front, unsigned) {
  __atomic_store_n(&front.tx().req_prod, front.tx().req_prod - 100, __ATOMIC_SEQ_CST);
}
void beyond_page(FrontEnd& front, unsigned) {
  Request bad = good(front);
  bad.offset = 4090;
  front.send(bad);
}
void pieces_beyond_packet(FrontEnd& front, unsigned) {
  Request first = good(front);
  first.flags = NETTXF_more_data;
  front.send(first);
  Request second = good(front);
  second.size = 2000;
  front.send(second);
}
void grants(FrontEnd& front, unsigned round) {
  Request bad = good(front);
  bad.grant = 100'000 + round * 7919;
  front.send(bad);
}
void another_grant(FrontEnd& front, unsigned round) {
  Request bad = good(front);
  bad.grant = round % 8;  // the tool stack's own: console, XenStore
  front.send(bad);
}
void endless_chain(FrontEnd& front, unsigned) {
  Request link = good(front);
  link.size = 4000;
  link.flags = NETTXF_more_data;
  front.send(link);
  link.size = 10;
  for (unsigned i = 0; i < 200; ++i)
    front.send(link);
}
void cut_chain(FrontEnd& front, unsigned) {
  Request first = good(front);
  first.flags = NETTXF_more_data;
  front.send(first);
}
void unknown_extra(FrontEnd& front, unsigned) {
  Request first = good(front);
  first.flags = NETTXF_extra_info;
  front.send(first);
  front.send_extra(77, 0, 0);
}
void endless_extras(FrontEnd& front, unsigned) {
  Request first = good(front);
  first.flags = NETTXF_extra_info;
  front.send(first);
  for (unsigned i = 0; i < 100; ++i)
    front.send_extra(XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE, 1448);
}
void no_segments(FrontEnd& front, unsigned) {
  Request first = good(front);
  first.flags = NETTXF_extra_info | NETTXF_csum_blank | NETTXF_data_validated;
  first.size = 2000;
  front.send(first);
  front.send_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, 0);
}
void storm(FrontEnd& front, unsigned) {
  for (unsigned i = 0; i < kStormEvents; ++i)
    front.notify();
}
/// Packets to another guest whose first piece is good and whose second one, which that guest is to
/// get straight from our page, is not. The back-end takes first pieces alone from who talks to
/// guests: so a good packet comes first.
void lent_grants(FrontEnd& front, unsigned round) {
  std::array<std::byte, 12> addresses{std::byte{0x00}, std::byte{0x16}, std::byte{0x3E},
                                      std::byte{0x00}, std::byte{0x00}, std::byte{0x02},
                                      std::byte{0x02}};  // the guest "right" (net-hostile.sh)
  std::ranges::copy(addresses, front.data());
  if (round == 0) {
    front.send(good(front));
    return;
  }
  Request first = good(front);
  first.size = 2000;
  first.flags = NETTXF_more_data;
  front.send(first);
  Request second = good(front);
  second.grant = 100'000 + round * 7919;
  second.size = 1000;
  front.send(second);
}
/// Writes where only the back-end writes.
void scribble(FrontEnd& front, unsigned round) {
  __atomic_store_n(&front.tx().rsp_prod, 0x1234'5678 * (round + 1), __ATOMIC_SEQ_CST);
  __atomic_store_n(&front.rx().rsp_prod, 0x8765'4321 * (round + 1), __ATOMIC_SEQ_CST);
  front.send(good(front));
}
/// Not against the protocol: as many packets as the ring takes, each from another address.
void flood(FrontEnd& front, unsigned round) {
  std::array<std::byte, kPacket> packet{};
  std::fill_n(packet.begin(), 6, round % 2 == 0 ? std::byte{0xFF} : std::byte{0x02});
  packet[6] = std::byte{0x02};
  packet[10] = static_cast<std::byte>(round >> 8);
  packet[11] = static_cast<std::byte>(round);
  std::ranges::copy(packet, front.data());
  const std::uint32_t answered = __atomic_load_n(&front.tx().rsp_prod, __ATOMIC_SEQ_CST);
  while (front.tx().req_prod - answered < net::kRingSlots)
    front.send(good(front));
}
/// The request's content changes under the back-end's eyes.
void changing(FrontEnd& front, unsigned round) {
  for (unsigned i = 0; i < 64; ++i)
    front.send(good(front));
  front.notify();
  for (unsigned i = 0; i < 20'000; ++i) {
    netif_tx_request_t& slot = front.tx().ring[(front.tx().req_prod - i % 64) % 256].req;
    __atomic_store_n(&slot.size, static_cast<std::uint16_t>(i * 977 + round), __ATOMIC_RELAXED);
    __atomic_store_n(&slot.gref, i * 31, __ATOMIC_RELAXED);
  }
}

constexpr Attack kAttacks[] = {
    {"indexes", true, 1, kMillisecond, indexes},
    {"receive-indexes", true, 3000, 10 * kMillisecond, receive_indexes},
    {"backwards", true, 1, kMillisecond, backwards},
    {"beyond-page", true, 1, kMillisecond, beyond_page},
    {"beyond-packet", true, 1, kMillisecond, pieces_beyond_packet},
    {"grants", true, 100, kMillisecond, grants},
    {"other-grants", true, 200, kMillisecond, another_grant},
    {"lent-grants", true, 100, kMillisecond, lent_grants},
    {"endless-chain", true, 1, kMillisecond, endless_chain},
    {"cut-chain", true, 1, kMillisecond, cut_chain},
    {"unknown-extra", true, 1, kMillisecond, unknown_extra},
    {"endless-extras", true, 1, kMillisecond, endless_extras},
    {"no-segments", true, 1, kMillisecond, no_segments},
    {"storm", false, 500, 0, storm},
    {"scribble", true, 1000, 10 * kMillisecond, scribble},
    {"changing", true, 1000, kMillisecond, changing},
    {"flood", false, 400, kMillisecond, flood},
};

}  // namespace

std::span<const Attack> attacks() {
  return kAttacks;
}

}  // namespace ppvmm::test

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>

#include "net/netback/data_path.hpp"
#include "support/net_guest.hpp"
#include "support/net_wire.hpp"

namespace ppvmm::property {
namespace {

using namespace ppvmm::net;
namespace nt = ppvmm::net::test;

constexpr std::size_t kBuffers = 600;
constexpr std::uint64_t kMs = 1'000'000;

/// Pieces of a packet: one to eighteen, none longer than a page.
std::size_t piece_of(const nt::Bytes& packet, unsigned number) {
  const std::size_t pieces = std::max<std::size_t>(packet.size() / 4096 + 1, 1 + number % 18);
  return packet.size() / pieces + 1;
}

/// Three guests and a wire around a data path that may die.
struct World {
  std::vector<std::byte> memory = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma = std::vector<DmaAddress>(kBuffers);
  BufferPool pool{memory.data(), dma, kBuffers};
  nt::FakeXen xen{pool};
  nt::Wire wire;
  std::vector<std::unique_ptr<nt::Guest>> guests;
  std::unique_ptr<DataPath> path;
  std::uint64_t now{kMs};

  World() {
    for (abi::DomId domid = 1; domid <= 3; ++domid)
      guests.push_back(std::make_unique<nt::Guest>(xen, domid));
    be_born();
  }
  void be_born() {
    path.reset();
    wire.ring.clear();  // what the card had not sent yet is gone
    path = std::make_unique<DataPath>(pool, xen, DataPath::Limits{.shadow_frames = 20});
    for (const auto& guest : guests) {
      const QueuePages pages{.tx = guest->tx_page(), .rx = guest->rx_page()};
      RC_ASSERT(path->add_vif({.domid = guest->domid(),
                               .handle = 0,
                               .mac = nt::mac(static_cast<std::uint8_t>(guest->domid())),
                               .rate = {},
                               .only_own = false,
                               .ipv4 = {},
                               .scatter_gather = true,
                               .abilities = {true, true, true, true}},
                              {&pages, 1}, now)
                    .has_value());
    }
    path->set_nic(&wire);
  }
  void pass() {
    now += kMs;
    for (PortId port = 1; port <= 3; ++port)
      path->kick(port, 0);
    (void)path->run(now);
  }
  /// The wire takes up to `count` frames.
  void send(std::size_t count) {
    for (; count > 0 && !wire.ring.empty(); --count) {
      Frame frame = std::move(wire.ring.front());
      wire.ring.pop_front();
      std::vector<std::byte> bytes(frame.length());
      (void)frame.copy_out(0, bytes);
      wire.sent.push_back(std::move(bytes));
      path->sent(std::move(frame));
    }
  }
};

// Whenever the data path dies and is made anew over the same rings: every packet that a guest sent
// reaches whom it was for, is answered exactly once, and packets of one guest to one receiver come
// in the order in which they were sent (again, if they come again).
RC_GTEST_PROP(DataPath, LosesNothingThatAGuestSentWheneverItDies, ()) {
  World world;
  std::vector<std::vector<nt::Bytes>> for_wire(4);
  std::vector<std::vector<nt::Bytes>> for_guest(4);
  std::vector<std::vector<nt::Bytes>> got(4);
  unsigned number = 0;
  const auto steps =
      *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
  const auto collect = [&] {
    for (const auto& guest : world.guests) {
      std::vector<nt::Received> packets;
      RC_ASSERT(guest->receive(packets));
      for (nt::Received& each : packets)
        got[guest->domid()].push_back(std::move(each.bytes));
      RC_ASSERT(guest->reap());
    }
  };
  for (const std::uint8_t step : steps) {
    nt::Guest& guest = *world.guests[step % 3u];
    const auto from = static_cast<std::uint8_t>(guest.domid());
    switch (step / 3 % 6) {
      case 0:
      case 1: {
        const nt::Bytes packet = nt::ethernet(0xEE, from, 60 + number % 5000, number * 7919);
        if (guest.send(packet, piece_of(packet, number))) for_wire[from].push_back(packet);
        ++number;
        break;
      }
      case 2: {
        const auto to = static_cast<std::uint8_t>(from % 3 + 1);
        const nt::Bytes packet = nt::ethernet(to, from, 60 + number % 5000, number * 7919);
        if (guest.send(packet, piece_of(packet, number))) for_guest[to].push_back(packet);
        ++number;
        break;
      }
      case 3:
        world.pass();
        break;
      case 4:
        world.send(step % 8u);
        break;
      default:
        world.be_born();
        break;
    }
    collect();
  }
  for (int i = 0; i < 400; ++i) {
    world.pass();
    world.send(100);
    collect();
  }
  for (const auto& guest : world.guests) {
    RC_ASSERT(guest->unanswered() == 0u);
    RC_ASSERT(guest->statuses.size() <= 1u);  // nothing but NETIF_RSP_OKAY
  }
  // Repetitions left out, what came is what was sent, in order.
  const auto in_order = [](const std::vector<nt::Bytes>& sent, const std::vector<nt::Bytes>& came) {
    std::vector<nt::Bytes> first;
    for (const nt::Bytes& each : came) {
      if (std::ranges::find(first, each) == first.end()) first.push_back(each);
    }
    std::erase_if(
        first, [&](const nt::Bytes& each) { return std::ranges::find(sent, each) == sent.end(); });
    return first == sent;
  };
  for (std::size_t domid = 1; domid <= 3; ++domid) {
    RC_ASSERT(in_order(for_wire[domid], world.wire.sent));
    RC_ASSERT(in_order(for_guest[domid], got[domid]));
  }
  world.path.reset();
  RC_ASSERT(world.pool.statistics().free_buffers == kBuffers);
}

// A damaged ring never does more than end its own vif.
RC_GTEST_PROP(TxRing, ReadsOnlyWhatAddsUp, ()) {
  nt::Page page;
  const auto words =
      *rc::gen::container<std::vector<std::uint32_t>>(200, rc::gen::arbitrary<std::uint32_t>());
  std::memcpy(page.bytes.data() + 64, words.data(), words.size() * sizeof words[0]);
  const auto requests = *rc::gen::inRange<std::uint32_t>(0, 60);
  std::memcpy(page.bytes.data(), &requests, sizeof requests);
  net::TxRing ring(page.bytes.data());
  TxPacket packet;
  for (;;) {
    const auto more = ring.next(packet);
    if (!more || !*more) break;
    RC_ASSERT(packet.slots >= 1 && packet.count >= 1 && packet.count <= kFragmentsMax);
    std::uint32_t sum = 0;
    for (const TxFragment& piece : packet.pieces()) {
      RC_ASSERT(piece.offset + piece.length <= 4096);
      sum += piece.length;
    }
    RC_ASSERT(packet.droppable || sum == packet.length);
    ring.done(packet.first, TxStatus::okay);
  }
  (void)ring.push();
  RC_ASSERT(ring.held() == 0u);
}

}  // namespace
}  // namespace ppvmm::property

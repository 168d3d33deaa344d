/// Fuzzes a guest's shared rings: the input overwrites parts of them, and takes grants away,
/// between the data path's passes, while two honest guests talk. They must not feel it.
#include <algorithm>
#include <cstring>
#include <memory>

#include "fuzz/script.hpp"
#include "net/netback/data_path.hpp"
#include "support/net_guest.hpp"
#include "support/net_wire.hpp"

namespace ppvmm::fuzz {
namespace {

using namespace ppvmm::net;
namespace nt = ppvmm::net::test;

constexpr std::size_t kBuffers = 512;
constexpr std::uint64_t kStepNs = 1'000'000;
/// Longer inputs say nothing new and cost the time of many short ones.
constexpr int kStepsMost = 48;

void require(bool truth) {
  if (!truth) __builtin_trap();
}

struct World {
  std::vector<std::byte> memory = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma = std::vector<DmaAddress>(kBuffers);
  BufferPool pool{memory.data(), dma, kBuffers};
  nt::FakeXen xen{pool};
  nt::Wire wire;
  nt::Guest left{xen, 1};
  nt::Guest right{xen, 2};
  nt::Guest hostile{xen, 3};
  std::unique_ptr<DataPath> path;
  PortId hostile_port{};
  std::uint64_t now{1};

  PortId add(nt::Guest& guest) {
    const QueuePages pages{.tx = guest.tx_page(), .rx = guest.rx_page()};
    VifSettings settings = nt::vif_settings(guest);
    settings.abilities = {true, false, true, false};
    return path->add_vif(std::move(settings), {&pages, 1}, now).value_or(0);
  }
  /// A life of the data path: the honest guests can always be connected.
  void be_born() {
    path.reset();
    wire.ring.clear();
    path = std::make_unique<DataPath>(pool, xen, DataPath::Limits{});
    require(add(left) != 0 && add(right) != 0);
    hostile_port = add(hostile);
    path->set_nic(&wire);
  }
  void run() {
    now += kStepNs;
    for (PortId port = 1; port < 4; ++port)
      path->kick(port, 0);
    // The fuzzer may leave endless work for the hostile one; the passes are bounded each.
    for (int i = 0; i < 3; ++i)
      (void)path->run(now);
    wire.send_all(*path);
    (void)path->run(now);
    std::vector<Notification> owed;
    path->take_notifications(owed);
    std::vector<Offence> offences;
    path->take_offences(offences);
  }
  /// What honest guests send to each other arrives.
  void talk() {
    const nt::Bytes packet = nt::ethernet(2, 1, 700, static_cast<unsigned>(now));
    require(left.send(packet, 300));
    // The hostile one may hold buffers, but not for longer than the data path's patience.
    for (int i = 0; i < 3 && left.unanswered() > 0; ++i) {
      run();
      now += DataPath::kPatienceNs;
      require(left.reap());
    }
    require(left.unanswered() == 0);
    std::vector<nt::Received> got;
    require(right.receive(got) && !got.empty());
    require(std::ranges::any_of(got, [&](const auto& each) { return each.bytes == packet; }));
  }
};

void run(Script script) {
  World world;
  world.be_born();
  for (int step = 0; step < kStepsMost && !script.done(); ++step) {
    const std::uint8_t what = script.byte();
    switch (what % 8) {
      case 0:  // anything anywhere in the TX ring
      case 1:
      case 2:
      case 3: {  // ... or in the RX ring
        std::byte* const page = what % 8 < 3 ? world.hostile.tx_page() : world.hostile.rx_page();
        const std::size_t offset = (std::size_t{script.byte()} << 8 | script.byte()) % 4096;
        const auto bytes = script.bytes(script.byte());
        std::memcpy(page + offset, bytes.data(), std::min(bytes.size(), 4096 - offset));
        break;
      }
      case 4:  // believable requests
        (void)world.hostile.send(
            nt::ethernet(script.byte(), script.byte(), 14 + std::size_t{script.byte()} * 40),
            1 + std::size_t{script.byte()} * 16 % 4096, static_cast<std::uint16_t>(script.byte()));
        break;
      case 5:
        world.xen.revoke(3, nt::Guest::ref_of(script.byte() * 2u));
        break;
      case 6: {
        std::vector<nt::Received> got;
        (void)world.hostile.receive(got);
        (void)world.hostile.reap();
        break;
      }
      default:
        world.be_born();
        break;
    }
    world.run();
    if (what >= 0x80) world.talk();
  }
  world.talk();
  world.path.reset();
  world.wire.ring.clear();
  require(world.pool.statistics().free_buffers == kBuffers);
}

}  // namespace
}  // namespace ppvmm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ppvmm::fuzz::run({{reinterpret_cast<const std::byte*>(data), size}});
  return 0;
}

// Hostile or damaged regions: whatever stands in them, opening, following, recovering and refilling
// end with an answer.
//
// The first byte chooses what the rest means: bytes that were once a record, a ledger, or patches
// (offset, value) to a region that was good.
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "../memory.hpp"
#include "replication/backup.hpp"
#include "replication/primary.hpp"
#include "replication/recovery.hpp"
#include "store/ring.hpp"
#include "support/message.hpp"

namespace {

using namespace ppvmm;
using namespace ppvmm::replication;

constexpr std::uint64_t kKey = 99;

/// Regions and a ring as a busy primary leaves them, made once.
struct Good {
  std::array<test::Memory, kBackups> regions{test::region_memory(), test::region_memory()};
  test::Memory page{4096};

  Good() {
    Primary primary{
        Restored{Replica{store::Machine{store::Options{}}, Ledger{test::kSmall.slots}, 0}, {}},
        ReplicaSet{}, PrimaryOptions{.geometry = test::kSmall, .key = kKey}};
    for (std::size_t i = 0; i < kBackups; ++i)
      primary.attach_region(i, regions[i].shared());
    while (primary.maintain(1 << 20)) {
    }
    static_cast<void>(primary.connect(0, 1, 1, page.shared()));
    store::ClientRing client{*reinterpret_cast<store::RingPage*>(page.bytes().data())};
    auto backup = Backup::open(*Region::open(regions[0].shared()), {},
                               CheckpointPolicy{.min_records = 4, .nodes_per_record = 1 << 20});
    for (std::uint32_t i = 0; i < 40; ++i) {
      const auto type = i % 5 == 4 ? store::MessageType::watch : store::MessageType::write;
      const auto request =
          test::encode(type, i, 0, "/n/" + std::to_string(i) + '\0' + "value" + '\0');
      static_cast<void>(client.requests.write(request));
      primary.kick(0);
      static_cast<void>(primary.run(10));
      test::Bytes answer(512);
      const auto count = client.responses.peek(answer);
      if (count) client.responses.consume(*count);
      if (i < 30) static_cast<void>(backup->step(10));
    }
  }
};

/// Each patch is five bytes: an offset, and what to xor two bytes with. A flipped sealed word or
/// check is the common case.
void patch(std::span<std::byte> memory, std::span<const std::uint8_t> patches) {
  for (; patches.size() >= 5; patches = patches.subspan(5)) {
    const std::size_t offset =
        std::size_t{patches[0]} | (std::size_t{patches[1]} << 8) | (std::size_t{patches[2]} << 16);
    memory[offset % memory.size()] ^= static_cast<std::byte>(patches[3]);
    memory[(offset + 1) % memory.size()] ^= static_cast<std::byte>(patches[4]);
  }
}

void live_on(std::array<test::Memory, kBackups>& regions, test::Memory& page) {
  for (test::Memory& memory : regions) {
    if (auto region = Region::open(memory.shared())) {
      if (auto backup =
              Backup::open(std::move(*region), {},
                           CheckpointPolicy{.min_records = 4, .nodes_per_record = 1 << 20})) {
        static_cast<void>(backup->step(1000));
        static_cast<void>(backup->scrub(~0ULL));
      }
    }
  }
  auto found = recover({regions[0].shared(), regions[1].shared()}, {});
  if (!found) return;
  Primary primary{std::move(found->state), std::move(found->set),
                  PrimaryOptions{.geometry = test::kSmall, .key = kKey}};
  static_cast<void>(primary.adopt(0, page.shared()));
  static_cast<void>(primary.run(100));
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!primary.set().is_member(i)) primary.attach_region(i, regions[i].shared());
  }
  for (int i = 0; i < 1000 && primary.maintain(1 << 16); ++i) {
  }
  static_cast<void>(primary.run(100));
  static_cast<void>(primary.compare());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Good good;
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest{data + 1, size - 1};
  switch (data[0] % 4) {
    case 0:
      static_cast<void>(decode(std::as_bytes(rest)));
      break;
    case 1:
      static_cast<void>(Ledger::read(std::as_bytes(rest), 32));
      break;
    default: {
      Good copy = good;
      patch(copy.regions[data[0] % 2].bytes(), rest);
      if (data[0] & 4) patch(copy.regions[1 - data[0] % 2].bytes(), rest);
      if (data[0] & 8) patch(copy.page.bytes(), rest);
      live_on(copy.regions, copy.page);
      break;
    }
  }
  return 0;
}

// What replication costs natively: a write and a read through a ring page with no, one and two
// backups, and a rebirth of the primary by size of the tree.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "memory.hpp"
#include "replication/backup.hpp"
#include "replication/checkpoint.hpp"
#include "replication/primary.hpp"
#include "replication/recovery.hpp"
#include "store/ring.hpp"
#include "support/message.hpp"

namespace {

using namespace ppvmm;
using namespace ppvmm::replication;
using Clock = std::chrono::steady_clock;

constexpr Geometry kGeometry{.log_bytes = 4 << 20, .checkpoint_bytes = 16 << 20, .slots = 1024};

struct Host {
  std::array<test::Memory, kBackups> regions{test::region_memory(kGeometry),
                                             test::region_memory(kGeometry)};
  test::Memory page{4096};
  store::ClientRing client{*reinterpret_cast<store::RingPage*>(page.bytes().data())};
  Primary primary{
      Restored{Replica{store::Machine{store::Options{}}, Ledger{kGeometry.slots}, 0}, {}},
      ReplicaSet{}, PrimaryOptions{.geometry = kGeometry, .key = 7}};
  std::array<std::optional<Backup>, kBackups> backups;

  explicit Host(std::size_t members) {
    for (std::size_t i = 0; i < members; ++i)
      primary.attach_region(i, regions[i].shared());
    while (primary.maintain(1 << 20)) {
    }
    static_cast<void>(primary.connect(0, 1, 1, page.shared()));
    for (std::size_t i = 0; i < members; ++i) {
      auto backup = Backup::open(*Region::open(regions[i].shared()), {}, CheckpointPolicy{});
      if (backup) backups[i].emplace(std::move(*backup));
    }
  }
  void request(const test::Bytes& bytes) {
    static_cast<void>(client.requests.write(bytes));
    primary.kick(0);
    static_cast<void>(primary.run(10));
    std::array<std::byte, 512> answer;  // NOLINT: filled by peek()
    client.responses.consume(*client.responses.peek(answer));
  }
  void follow() {
    for (auto& backup : backups) {
      if (backup) static_cast<void>(backup->step(100'000));
    }
  }
  void fill(std::size_t nodes) {
    for (std::size_t i = 0; i < nodes; ++i) {
      request(test::encode(store::MessageType::write, 1, 0,
                           "/n/" + std::to_string(i / 100) + "/" + std::to_string(i) + '\0' +
                               "a value of some length"));
      if (i % 1000 == 0) follow();
    }
    follow();
  }
};

constexpr int kBatch = 500;

/// The backups' work is not timed: they have processors of their own.
void requests(benchmark::State& state, store::MessageType type, const std::string& payload) {
  Host host{static_cast<std::size_t>(state.range(0))};
  host.fill(2000);
  const auto bytes = test::encode(type, 1, 0, payload);
  for (auto _ : state) {
    const auto start = Clock::now();
    for (int i = 0; i < kBatch; ++i)
      host.request(bytes);
    const std::chrono::duration<double> spent = Clock::now() - start;
    state.SetIterationTime(spent.count() / kBatch);
    host.follow();
  }
}

void write(benchmark::State& state) {
  requests(state, store::MessageType::write, std::string("/n/1/123\0another value here", 27));
}
BENCHMARK(write)->ArgName("backups")->DenseRange(0, 2)->UseManualTime()->Iterations(100);

void read(benchmark::State& state) {
  requests(state, store::MessageType::read, std::string("/n/1/123\0", 9));
}
BENCHMARK(read)->ArgName("backups")->DenseRange(0, 2)->UseManualTime()->Iterations(100);

/// Seconds of processor that this thread has had: others' turns on it do not count.
double processor_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A write with two backups against one with none. Both take turns, so that a busy machine slows
/// down both.
void write_ratio(benchmark::State& state) {
  Host alone{0};
  Host replicated{kBackups};
  alone.fill(2000);
  replicated.fill(2000);
  const auto bytes = test::encode(store::MessageType::write, 1, 0,
                                  std::string("/n/1/123\0another value here", 27));
  const auto batch = [&](Host& host) {
    const double start = processor_time();
    for (int i = 0; i < kBatch; ++i)
      host.request(bytes);
    const double spent = processor_time() - start;
    host.follow();
    return spent / kBatch;
  };
  std::vector<double> alone_spent;
  std::vector<double> replicated_spent;
  for (auto _ : state) {
    alone_spent.push_back(batch(alone));
    replicated_spent.push_back(batch(replicated));
  }
  state.counters["alone_ns"] = 1e9 * median(alone_spent);
  state.counters["replicated_ns"] = 1e9 * median(replicated_spent);
  state.counters["ratio"] = median(replicated_spent) / median(alone_spent);
}
BENCHMARK(write_ratio)->Iterations(400);

/// A backup's checkpoint, by size of the tree.
void checkpoint(benchmark::State& state) {
  Host host{1};
  host.fill(static_cast<std::size_t>(state.range(0)));
  auto region = Region::open(host.regions[0].shared());
  auto state_there = load_checkpoint(*region, {});
  if (!region || !state_there) return state.SkipWithError("no checkpoint was found");
  for (auto _ : state) {
    auto head = write_checkpoint(*region, state_there->tail, state_there->replica);
    if (!head) return state.SkipWithError("the checkpoint was not written");
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK(checkpoint)
    ->ArgName("nodes")
    ->Arg(2'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5);

/// From two regions and nothing else to a machine that can serve.
void rebirth(benchmark::State& state) {
  Host host{kBackups};
  host.fill(static_cast<std::size_t>(state.range(0)));
  std::uint64_t replayed = 0;
  for (auto _ : state) {
    auto found = recover({host.regions[0].shared(), host.regions[1].shared()}, {});
    if (!found) return state.SkipWithError("no state was found");
    replayed = found->replayed;
    benchmark::DoNotOptimize(found);
  }
  state.counters["replayed"] = static_cast<double>(replayed);
}
BENCHMARK(rebirth)
    ->ArgName("nodes")
    ->Arg(100)
    ->Arg(2'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5);

}  // namespace

BENCHMARK_MAIN();

// The machine alone: nanoseconds per operation against the number of nodes, and bytes per node.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "store/machine.hpp"
#include "store/wire.hpp"

namespace {

using ppvmm::store::ConnId;
using ppvmm::store::Machine;
using ppvmm::store::MessageHeader;
using ppvmm::store::MessageType;
using ppvmm::store::Options;

std::string message(MessageType type, std::string_view payload, std::uint32_t transaction = 0) {
  const MessageHeader header{.type = type,
                             .request_id = 1,
                             .transaction_id = transaction,
                             .length = static_cast<std::uint32_t>(payload.size())};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += payload;
  return bytes;
}

std::string with_nul(std::string_view text) {
  std::string result(text);
  result += '\0';
  return result;
}

std::string node_path(std::int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, 5 - digits.size(), '0');
  return with_nul("/bench/a/b/node" + digits);
}

// A machine with `nodes` siblings, and a client of domain 0.
class Bench {
 public:
  explicit Bench(std::int64_t nodes)
      : machine_(Options{}), client_(machine_.connect_socket()), nodes_(nodes) {
    const std::uint64_t before = machine_.statistics().memory;
    for (std::int64_t i = 0; i < nodes; ++i)
      run(message(MessageType::write, node_path(i) + "12345"));
    bytes_per_node_ =
        static_cast<double>(machine_.statistics().memory - before) / static_cast<double>(nodes);
  }

  // One request in, its answer out.
  void run(const std::string& request) {
    machine_.receive(client_, std::as_bytes(std::span(request)));
    const auto answer = machine_.to_send(client_);
    benchmark::DoNotOptimize(answer.data());
    machine_.sent(client_, answer.size());
    benchmark::DoNotOptimize(machine_.take_ready().data());
  }
  // Numbers spread over all nodes, so that the processor's caches see what a real mix would do.
  std::int64_t next() { return at_ = (at_ + 7919) % nodes_; }
  [[nodiscard]] double bytes_per_node() const { return bytes_per_node_; }

 private:
  Machine machine_;
  ConnId client_;
  std::int64_t nodes_;
  std::int64_t at_{};
  double bytes_per_node_{};
};

std::vector<std::string> requests(Bench& bench, MessageType type, std::string_view value) {
  constexpr int kRequests = 4096;
  std::vector<std::string> all;
  all.reserve(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    all.push_back(message(type, node_path(bench.next()) + std::string(value)));
  }
  return all;
}

void run_all(benchmark::State& state, Bench& bench, const std::vector<std::string>& all) {
  std::size_t at = 0;
  for (auto _ : state) {
    bench.run(all[at]);
    at = (at + 1) % all.size();
  }
}

void read(benchmark::State& state) {
  Bench bench(state.range(0));
  run_all(state, bench, requests(bench, MessageType::read, ""));
  state.counters["bytes_per_node"] = bench.bytes_per_node();
}

void write(benchmark::State& state) {
  Bench bench(state.range(0));
  run_all(state, bench, requests(bench, MessageType::write, "54321"));
}

void create_and_remove(benchmark::State& state) {
  Bench bench(state.range(0));
  const std::string path = with_nul("/bench/a/b/another");
  const std::vector<std::string> pair{message(MessageType::write, path + "1"),
                                      message(MessageType::rm, path)};
  for (auto _ : state) {
    bench.run(pair[0]);
    bench.run(pair[1]);
  }
}

// Ten reads and writes in one transaction; ids of a client count up from 1.
void transaction(benchmark::State& state) {
  Bench bench(state.range(0));
  std::uint32_t id = 0;
  for (auto _ : state) {
    bench.run(message(MessageType::transaction_start, with_nul("")));
    ++id;
    for (int i = 0; i < 4; ++i) {
      const std::string path = node_path(bench.next());
      bench.run(message(MessageType::read, path, id));
      bench.run(message(MessageType::write, path + "99999", id));
    }
    bench.run(message(MessageType::transaction_end, with_nul("T"), id));
  }
}

// Listings of directories with a hundred names each.
void directory(benchmark::State& state) {
  constexpr std::int64_t kNames = 100;
  Bench bench(1);
  const std::int64_t directories = state.range(0) / kNames;
  const auto path = [](std::int64_t number) { return "/bench/d/" + std::to_string(number); };
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    bench.run(
        message(MessageType::write, with_nul(path(i % directories) + "/" + std::to_string(i))));
  }
  std::vector<std::string> all;
  all.reserve(static_cast<std::size_t>(directories));
  for (std::int64_t i = 0; i < directories; ++i) {
    all.push_back(message(MessageType::directory, with_nul(path(i * 7919 % directories))));
  }
  run_all(state, bench, all);
}

// A write that one of many watches sees.
void watched_write(benchmark::State& state) {
  Bench bench(state.range(0));
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    bench.run(message(MessageType::watch, node_path(i) + with_nul("token")));
  }
  run_all(state, bench, requests(bench, MessageType::write, "54321"));
}

BENCHMARK(read)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(directory)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(write)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(create_and_remove)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(transaction)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(watched_write)->Arg(1'000)->Arg(10'000)->Arg(100'000);

}  // namespace

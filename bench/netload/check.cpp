#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <list>
#include <vector>

#include "duplex.hpp"
#include "loads.hpp"
#include "net_address.hpp"
#include "served_file.hpp"
#include "socket.hpp"

namespace ppvmm::netload {
namespace {

constexpr std::uint32_t kChunk = 8192;
/// Longest sleep: to see the end, or a signal.
constexpr std::uint64_t kPaceNs = 50'000'000;

volatile sig_atomic_t stopped = 0;

struct Sum {
  unsigned broken{};
  unsigned wrong{};
  std::uint64_t there{};
  std::uint64_t back{};
  std::uint64_t silence_ns{};
};

bool over(const Duplex& end) {
  return end.state() == Duplex::State::done || end.state() == Duplex::State::broken;
}

/// One turn: waits until there is something to do, then each connection does what it can.
void turn(std::list<Duplex>& ends, bench::ServedFile& served) {
  std::vector<pollfd> waiting;
  std::uint64_t until = now_ns() + kPaceNs;
  for (const Duplex& end : ends) {
    if (over(end)) continue;
    waiting.push_back({.fd = end.fd(), .events = end.wants(now_ns()), .revents = 0});
    // One that is due already waits for room, and poll() for that.
    if (end.due_ns() > now_ns()) until = std::min(until, end.due_ns());
  }
  const std::uint64_t now = now_ns();
  const timespec limit{.tv_sec = 0, .tv_nsec = static_cast<long>(until > now ? until - now : 0)};
  (void)ppoll(waiting.data(), waiting.size(), &limit, nullptr);
  std::size_t seat = 0;
  for (Duplex& end : ends) {
    if (!over(end)) end.work(now_ns());
    served.set(seat++, end.served_ns());
  }
}

/// One line for each connection: what it came to, and when what was wrong was known.
void print_streams(std::FILE* out, const std::list<Duplex>& ends) {
  std::fprintf(out, " \"streams\": [");
  const char* comma = "";
  for (const Duplex& end : ends) {
    const bool done = end.state() == Duplex::State::done;
    std::fprintf(out,
                 "%s\n  {\"done\": %s, \"broken_ns\": %llu, \"wrong_ns\": %llu, \"why\": \"%s\"}",
                 comma, done ? "true" : "false", static_cast<unsigned long long>(end.broken_ns()),
                 static_cast<unsigned long long>(end.wrong_ns()),
                 done || !end.why().empty() ? end.why().c_str() : "silent until the end");
    comma = ",";
  }
  std::fprintf(out, "]");
}

Sum sum_of(const std::list<Duplex>& ends) {
  Sum sum;
  for (const Duplex& end : ends) {
    const bool told = end.theirs().has_value();
    if (end.state() != Duplex::State::done) ++sum.broken;
    if (end.receipt().first_wrong != Receipt::kNone ||
        (told && end.theirs()->first_wrong != Receipt::kNone) ||
        (end.state() == Duplex::State::done && end.theirs()->bytes != end.sent_bytes())) {
      ++sum.wrong;
    }
    sum.there += told ? end.theirs()->bytes : 0;
    sum.back += end.receipt().bytes;
    sum.silence_ns = std::max(sum.silence_ns, end.longest_silence_ns());
  }
  return sum;
}

}  // namespace

int check(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  const auto peer = bench::address_of(options.to);
  auto served = bench::ServedFile::create(options.served, options.connections);
  if (!served) {
    std::perror("netload: --served");
    return 1;
  }
  // Whoever does not know how long it will take ends it by a signal.
  (void)signal(SIGTERM, [](int) { stopped = 1; });
  std::list<Duplex> ends;
  for (unsigned i = 0; peer && i < options.connections; ++i) {
    const int fd = connect_to(*peer);
    Order order{.mode = Mode::check, .size = options.size};
    if (order.size == 0) order.size = kChunk;
    order.size = std::max<std::uint32_t>(order.size, Duplex::kSmallestChunk);
    order.seed = options.seed + 2 * std::uint64_t{i};
    order.rate = options.rate;
    if (fd < 0 || !write_all(fd, &order, sizeof order)) {
      std::perror("netload: connect");
      return 1;
    }
    ends.emplace_back(fd, order.size, order.seed, order.seed + 1, order.rate);
  }
  const std::uint64_t begin = now_ns();
  const auto end = begin + static_cast<std::uint64_t>(options.seconds * 1e9);
  while (now_ns() < end && stopped == 0)
    turn(ends, *served);
  for (Duplex& each : ends)
    each.finish();
  const auto patience = now_ns() + static_cast<std::uint64_t>(options.grace * 1e9);
  while (now_ns() < patience && !std::ranges::all_of(ends, over))
    turn(ends, *served);
  const Sum sum = sum_of(ends);
  std::FILE* const out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::perror("netload: --json");
    return 1;
  }
  std::fprintf(out,
               "{\"mode\": \"check\", \"connections\": %zu, \"broken\": %u, \"wrong\": %u, "
               "\"there_bytes\": %llu, \"back_bytes\": %llu, \"longest_silence_ms\": %.3f,\n",
               ends.size(), sum.broken, sum.wrong, static_cast<unsigned long long>(sum.there),
               static_cast<unsigned long long>(sum.back),
               static_cast<double>(sum.silence_ns) / 1e6);
  print_streams(out, ends);
  std::fprintf(out, "}\n");
  if (out != stdout) std::fclose(out);
  for (const Duplex& each : ends)
    close(each.fd());
  return sum.wrong == 0 ? 0 : 3;
}

}  // namespace ppvmm::netload

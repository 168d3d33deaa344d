// udpseq: a sender and receiver of numbered UDP packets that counts what was lost, duplicated and
// reordered, both ways.
//
// Exit code: 0 the run ended and the peer reported; 1 it did not; 2 wrong usage.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "net_address.hpp"
#include "served_file.hpp"
#include "stream.hpp"

namespace {

using namespace ppvmm::udpseq;
using ppvmm::bench::address_of;

constexpr std::uint64_t kMs = 1'000'000;
/// How long the end of a run waits for stragglers, for stragglers.
constexpr std::uint64_t kSettleNs = 1000 * kMs;
constexpr std::uint64_t kAskAgainNs = 200 * kMs;

constexpr int kUsage = 2;

volatile sig_atomic_t stopped = 0;

struct Options {
  std::string to;
  std::string json;
  std::uint16_t port{7000};
  Plan plan;
  double seconds{5};
  bool one_way{};
  std::uint32_t bin_ms{};  ///< 0: no counts over time.
  double grace{10};        ///< Seconds that the peer's report is waited for.
  std::string served;      ///< File (served_file.hpp).
  std::uint32_t gap_ms{};  ///< Journal: 0: none, else it holds gaps longer than this.
};

int open_socket(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  // As root beyond the system's limit: what this end drops itself says nothing about the way.
  const int room = 32 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  }
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    std::perror("udpseq: bind");
    std::exit(1);
  }
  return fd;
}

/// Receives everything that is there; true if anything was. `each(bytes, from)`.
template <typename Each>
bool receive(int fd, std::uint64_t until_ns, Each each) {
  const std::uint64_t now = now_ns();
  const std::uint64_t wait = until_ns > now ? std::min<std::uint64_t>(until_ns - now, 50 * kMs) : 0;
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  const timespec limit{.tv_sec = 0, .tv_nsec = static_cast<long>(wait)};
  if (ppoll(&waiting, 1, &limit, nullptr) <= 0) return false;
  std::array<std::byte, 65536> bytes;
  for (int i = 0; i < 256; ++i) {
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) break;
    each(std::span<const std::byte>(bytes.data(), static_cast<std::size_t>(got)), from);
  }
  return true;
}

void print_direction(std::FILE* out, const char* name, std::uint64_t sent, const Tally& tally,
                     const char* end) {
  std::fprintf(out, " \"%s\": {", name);
  const auto member = [&](const char* what, std::uint64_t value) {
    std::fprintf(out, "\"%s\": %llu, ", what, static_cast<unsigned long long>(value));
  };
  member("sent", sent);
  member("received", tally.received);
  member("lost", tally.lost(sent));
  member("duplicated", tally.duplicated);
  member("reordered", tally.reordered);
  member("foreign", tally.foreign);
  member("overflowed", tally.overflowed);
  std::fprintf(out, "\"longest_silence_ms\": %.3f}%s\n",
               static_cast<double>(tally.longest_silence_ns) / 1e6, end);
}

/// Serves one run after the other; the starter's first packet says how many to send back.
[[noreturn]] void serve(const Options& options) {
  const int fd = open_socket(options.port);
  std::optional<Stream> stream;
  std::printf("udpseq: serving on port %u\n", static_cast<unsigned>(options.port));
  std::fflush(stdout);
  for (;;) {
    const std::uint64_t until = stream ? stream->next_ns() : ~std::uint64_t{0};
    receive(fd, until, [&](std::span<const std::byte> packet, const sockaddr_in& from) {
      const auto header = header_of(packet);
      if (!header) return;
      if (header->kind == Kind::data && (!stream || stream->plan().run != header->run)) {
        stream.emplace(fd, from,
                       Plan{.rate = header->rate,
                            .count = header->limit,
                            .size = packet.size(),
                            .run = header->run,
                            .peer_rate = 0});
      }
      if (stream) stream->take(packet);
    });
    if (stream) stream->send_due();
  }
}

/// How many came back in each span of time.
void print_bins(std::FILE* out, std::uint32_t bin_ms, const std::vector<std::uint64_t>& bins) {
  std::fprintf(out, " \"bin_ms\": %u, \"bins\": [", bin_ms);
  for (std::size_t i = 0; i < bins.size(); ++i)
    std::fprintf(out, "%s%llu", i == 0 ? "" : ",", static_cast<unsigned long long>(bins[i]));
  std::fprintf(out, "],\n");
}

void print_losses(std::FILE* out, const char* name, const std::vector<Journal::Loss>& losses) {
  std::fprintf(out, "\"%s\": [", name);
  const char* comma = "";
  for (const Journal::Loss& each : losses) {
    std::fprintf(
        out, "%s{\"first\": %llu, \"last\": %llu, \"packets\": %llu, \"known_ns\": %llu}", comma,
        static_cast<unsigned long long>(each.first), static_cast<unsigned long long>(each.last),
        static_cast<unsigned long long>(each.lost), static_cast<unsigned long long>(each.known_ns));
    comma = ", ";
  }
  std::fprintf(out, "],\n  ");
}

void print_damages(std::FILE* out, const char* name, const std::vector<Journal::Damage>& damages) {
  std::fprintf(out, "\"%s\": [", name);
  const char* comma = "";
  for (const Journal::Damage& each : damages) {
    std::fprintf(out, "%s{\"packets\": %llu, \"known_ns\": %llu}", comma,
                 static_cast<unsigned long long>(each.packets),
                 static_cast<unsigned long long>(each.known_ns));
    comma = ", ";
  }
  std::fprintf(out, "],\n  ");
}

void print_journal(std::FILE* out, const Journal& journal) {
  std::fprintf(out, " \"journal\": {");
  print_losses(out, "lost_there", journal.losses_there());
  print_losses(out, "lost_back", journal.losses_back());
  print_damages(out, "damaged_there", journal.damages_there());
  print_damages(out, "damaged_back", journal.damages_back());
  std::fprintf(out, "\"gaps\": [");
  const char* comma = "";
  for (const Journal::Gap& each : journal.gaps()) {
    std::fprintf(out, "%s{\"begin_ns\": %llu, \"end_ns\": %llu}", comma,
                 static_cast<unsigned long long>(each.begin_ns),
                 static_cast<unsigned long long>(each.end_ns));
    comma = ", ";
  }
  std::fprintf(out, "]},\n");
}

int run(Options options) {
  const auto peer = address_of(options.to);
  if (!peer) return kUsage;
  options.plan.count =
      static_cast<std::uint64_t>(static_cast<double>(options.plan.rate) * options.seconds);
  if (!options.one_way) options.plan.peer_rate = options.plan.rate;
  const int fd = open_socket(0);
  options.plan.run = static_cast<std::uint32_t>(now_ns()) | 1;
  Stream stream(fd, *peer, options.plan);
  if (options.gap_ms != 0 || !options.served.empty()) {
    stream.keep_journal(options.gap_ms == 0 ? ~std::uint64_t{0} : options.gap_ms * kMs);
  }
  auto served = ppvmm::bench::ServedFile::create(options.served, 1);
  if (!served) {
    std::perror("udpseq: --served");
    return 1;
  }
  // Whoever does not know how long it will take ends it by a signal.
  (void)signal(SIGTERM, [](int) { stopped = 1; });
  const std::uint64_t begin = now_ns();
  std::vector<std::uint64_t> bins;
  const auto take = [&](std::span<const std::byte> packet, const sockaddr_in&) {
    const std::uint64_t before = stream.counter_so_far().unique;
    stream.take(packet);
    if (stream.journal()) served->set(0, stream.journal()->served_ns());
    if (options.bin_ms == 0 || stream.counter_so_far().unique == before) return;
    const auto bin = static_cast<std::size_t>((now_ns() - begin) / (options.bin_ms * kMs));
    if (bin >= bins.size()) bins.resize(bin + 1);
    ++bins[bin];
  };
  while (!stream.all_sent() && stopped == 0) {
    stream.send_due();
    (void)receive(fd, stream.next_ns(), take);
  }
  const bool early = !stream.all_sent();
  stream.stop();
  // Until the other end has sent all, or is silent. It does not know yet of an early end.
  const auto settle = [&] {
    const std::uint64_t from = now_ns();
    while (now_ns() < from + kSettleNs || (!early && stream.counter().any() &&
                                           stream.counter().tally().unique < options.plan.count &&
                                           now_ns() < stream.counter().last_ns() + kSettleNs)) {
      (void)receive(fd, now_ns() + 20 * kMs, take);
    }
  };
  if (!early) settle();
  const std::uint64_t patience = now_ns() + static_cast<std::uint64_t>(options.grace * 1e9);
  std::uint64_t again = 0;
  while (!stream.report() && now_ns() < patience) {
    if (now_ns() >= again) {
      stream.ask();
      again = now_ns() + kAskAgainNs;
    }
    (void)receive(fd, again, take);
  }
  if (early) settle();
  std::FILE* const out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::perror("udpseq: --json");
    return 1;
  }
  std::fprintf(out, "{");
  if (options.bin_ms != 0) print_bins(out, options.bin_ms, bins);
  // Without a report, what it certainly sent is all up to the highest number that came.
  const std::uint64_t back =
      stream.report() ? stream.report()->header.number : stream.counter().end();
  if (options.gap_ms != 0) {
    Journal& journal = *stream.journal();
    if (stream.report()) journal.end_there(stream.report()->tally.unique, now_ns());
    journal.end_back(back, now_ns());
    print_journal(out, journal);
  }
  if (stream.report()) {
    print_direction(out, "there", stream.sent(), stream.report()->tally, ",");
  } else {
    std::fprintf(stderr, "udpseq: the peer did not report\n");
    std::fprintf(out, " \"there\": null,\n");
  }
  print_direction(out, "back", back, stream.counter().tally(), "}");
  if (out != stdout) std::fclose(out);
  return stream.report() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Numbered UDP packets both ways: what was lost, duplicated, reordered, damaged");
  app.require_subcommand(1);
  Options options;
  auto* serving = app.add_subcommand("serve", "answer any number of runs");
  serving->add_option("--port", options.port, "to listen on")->capture_default_str();
  auto* running = app.add_subcommand("run", "send to a server, and count both ways");
  running->add_option("--to", options.to, "ADDRESS:PORT of a `udpseq serve`")
      ->required()
      ->check([](const std::string& text) {
        return address_of(text) ? std::string() : "ADDRESS:PORT is wanted, not " + text;
      });
  running->add_option("--rate", options.plan.rate, "packets per second, each way")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  running->add_option("--seconds", options.seconds, "how long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  running->add_option("--size", options.plan.size, "payload bytes of each packet")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  running->add_flag("--one-way", options.one_way, "nothing is to come back");
  running->add_option("--bin-ms", options.bin_ms, "also count what comes back in spans of so long")
      ->check(CLI::Range(1, 60000));
  running->add_option("--grace", options.grace, "seconds that the peer's report is waited for")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  running->add_option("--served", options.served,
                      "file that holds all the time when the last packet was sent that is known to "
                      "have got there");
  running
      ->add_option("--journal-ms", options.gap_ms,
                   "also tell when each loss was known, and silences longer than this")
      ->check(CLI::Range(1, 60000));
  running->add_option("--json", options.json, "write the result here instead of standard output");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (serving->parsed()) serve(options);
  return run(options);
}

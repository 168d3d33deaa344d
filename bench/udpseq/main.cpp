// udpseq: a sender and receiver of numbered UDP packets that counts what was lost, duplicated and
// reordered, both ways.
//
//   udpseq serve --port 7000
//   udpseq run --to 10.0.0.2:7000 --rate 500 --seconds 10 --size 200 [--one-way] [--json FILE]
//
// Exit code: 0 the run ended and the peer reported; 1 it did not; 2 wrong usage.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "stream.hpp"

namespace {

using namespace ppvmm::udpseq;

constexpr std::uint64_t kMs = 1'000'000;
/// How long the end of a run waits for stragglers, and for the peer's report.
constexpr std::uint64_t kSettleNs = 1000 * kMs;
constexpr std::uint64_t kReportNs = 10'000 * kMs;
constexpr std::uint64_t kAskAgainNs = 200 * kMs;

struct Options {
  std::string mode;
  std::string to;
  std::string json;
  std::uint16_t port{7000};
  Plan plan;
  double seconds{5};
  bool one_way{};
};

[[noreturn]] void usage(const char* why) {
  std::fprintf(stderr,
               "udpseq: %s\nusage: udpseq serve [--port P]\n"
               "       udpseq run --to ADDRESS:PORT [--rate PPS] [--seconds S] [--size BYTES] "
               "[--one-way] [--json FILE]\n",
               why);
  std::exit(2);
}

template <typename Number>
Number number(std::string_view text) {
  Number value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) usage("not a number");
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  if (argc < 2) usage("serve or run?");
  options.mode = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--one-way") {
      options.one_way = true;
      continue;
    }
    if (i + 1 >= argc) usage("an option without its value");
    const std::string_view value = argv[++i];
    if (name == "--to") {
      options.to = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--port") {
      options.port = number<std::uint16_t>(value);
    } else if (name == "--rate") {
      options.plan.rate = number<std::uint64_t>(value);
    } else if (name == "--size") {
      options.plan.size = number<std::size_t>(value);
    } else if (name == "--seconds") {
      options.seconds = number<double>(value);
    } else {
      usage("unknown option");
    }
  }
  if (options.plan.rate == 0 || options.seconds <= 0 || options.plan.size > 60000) {
    usage("rate, seconds and size are positive, size at most 60000");
  }
  if (!options.one_way) options.plan.peer_rate = options.plan.rate;
  options.plan.count =
      static_cast<std::uint64_t>(static_cast<double>(options.plan.rate) * options.seconds);
  return options;
}

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

int run(Options options) {
  const std::size_t colon = options.to.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, options.to.substr(0, colon).c_str(), &peer.sin_addr) != 1) {
    usage("--to wants ADDRESS:PORT");
  }
  peer.sin_port = htons(number<std::uint16_t>(std::string_view(options.to).substr(colon + 1)));
  const int fd = open_socket(0);
  options.plan.run = static_cast<std::uint32_t>(now_ns()) | 1;
  Stream stream(fd, peer, options.plan);
  const auto take = [&](std::span<const std::byte> packet, const sockaddr_in&) {
    stream.take(packet);
  };
  while (!stream.all_sent()) {
    stream.send_due();
    (void)receive(fd, stream.next_ns(), take);
  }
  // Until the other end has sent all, or is silent.
  const std::uint64_t all_sent = now_ns();
  while (now_ns() < all_sent + kSettleNs ||
         (stream.counter().any() && stream.counter().tally().unique < options.plan.count &&
          now_ns() < stream.counter().last_ns() + kSettleNs)) {
    (void)receive(fd, now_ns() + 20 * kMs, take);
  }
  const std::uint64_t asked = now_ns();
  std::uint64_t again = 0;
  while (!stream.report() && now_ns() < asked + kReportNs) {
    if (now_ns() >= again) {
      stream.ask();
      again = now_ns() + kAskAgainNs;
    }
    (void)receive(fd, again, take);
  }
  std::FILE* const out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::perror("udpseq: --json");
    return 1;
  }
  if (!stream.report()) {
    std::fprintf(stderr, "udpseq: the peer did not report\n");
    return 1;
  }
  std::fprintf(out, "{");
  print_direction(out, "there", stream.sent(), stream.report()->tally, ",");
  print_direction(out, "back", stream.report()->header.number, stream.counter().tally(), "}");
  if (out != stdout) std::fclose(out);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.mode == "serve") serve(options);
  if (options.mode == "run") return run(options);
  usage("serve or run?");
}

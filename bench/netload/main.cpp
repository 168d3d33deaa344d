// netload: TCP streams both ways and request-response latency between two machines, measured at the
// starter. Small and static, for guests that hold nothing but busybox; what iperf3 and netperf do
// where they can be had.
//
//   netload serve [--port 7100]
//   netload send|get|echo --to ADDRESS:PORT [--seconds S] [--size BYTES] [--json FILE]
//
// send, get: how fast a stream of such pieces goes there, comes back. echo: how long one such piece
// takes there and back. Exit code: 0 measured, 1 the connection broke, 2 wrong usage.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Options {
  std::string mode;
  std::string to;
  std::string json;
  std::uint16_t port{7100};
  double seconds{5};
  std::uint32_t size{};
};

/// What the starter says first.
struct Order {
  char mode;  ///< 's', 'g' or 'e'.
  char reserved[3];
  std::uint32_t size;
};
static_assert(sizeof(Order) == 8);

[[noreturn]] void usage(const char* why) {
  std::fprintf(stderr,
               "netload: %s\nusage: netload serve [--port P]\n"
               "       netload send|get|echo --to ADDRESS:PORT [--seconds S] [--size BYTES] "
               "[--json FILE]\n",
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
  if (argc < 2) usage("what to do?");
  options.mode = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--to") {
      options.to = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--port") {
      options.port = number<std::uint16_t>(value);
    } else if (name == "--seconds") {
      options.seconds = number<double>(value);
    } else if (name == "--size") {
      options.size = number<std::uint32_t>(value);
    } else {
      usage("unknown option");
    }
  }
  if (argc % 2 != 0) usage("an option without its value");
  if (options.size == 0) options.size = options.mode == "echo" ? 64 : 65536;
  if (options.size > 1u << 20 || options.seconds <= 0) usage("size up to 1 MiB, time positive");
  return options;
}

double now_s() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

bool write_all(int fd, const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = write(fd, at, bytes);
    if (done <= 0) return false;
    at += done;
    bytes -= static_cast<std::size_t>(done);
  }
  return true;
}

bool read_all(int fd, void* data, std::size_t bytes) {
  auto* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t done = read(fd, at, bytes);
    if (done <= 0) return false;
    at += done;
    bytes -= static_cast<std::size_t>(done);
  }
  return true;
}

void without_delay(int fd) {
  const int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Drains the peer's stream and answers with how many bytes came.
void sink(int fd, std::vector<char>& piece) {
  std::uint64_t total = 0;
  for (ssize_t got = 0; (got = read(fd, piece.data(), piece.size())) > 0;)
    total += static_cast<std::uint64_t>(got);
  (void)write_all(fd, &total, sizeof total);
}

void serve_one(int fd) {
  without_delay(fd);
  Order order{};
  if (!read_all(fd, &order, sizeof order) || order.size == 0 || order.size > 1u << 20) return;
  std::vector<char> piece(order.size, 'x');
  if (order.mode == 's') {
    sink(fd, piece);
  } else if (order.mode == 'g') {
    while (write_all(fd, piece.data(), piece.size())) {
    }
  } else {
    while (read_all(fd, piece.data(), piece.size()) && write_all(fd, piece.data(), piece.size())) {
    }
  }
}

int serve(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  const int door = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  (void)setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(options.port);
  if (bind(door, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      listen(door, 16) != 0) {
    std::perror("netload");
    return 1;
  }
  for (;;) {
    const int fd = accept(door, nullptr, nullptr);
    if (fd < 0) continue;
    if (fork() == 0) {
      close(door);
      serve_one(fd);
      _exit(0);
    }
    close(fd);
  }
}

int open_connection(const Options& options) {
  const std::size_t colon = options.to.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, options.to.substr(0, colon).c_str(), &peer.sin_addr) != 1) {
    usage("--to wants ADDRESS:PORT");
  }
  peer.sin_port = htons(number<std::uint16_t>(std::string_view(options.to).substr(colon + 1)));
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
    std::perror("netload");
    std::exit(1);
  }
  without_delay(fd);
  return fd;
}

double part(const std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(last * share)];
}

int broke() {
  std::fprintf(stderr, "netload: the connection broke\n");
  return 1;
}

int measure(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  const int fd = open_connection(options);
  const Order order{.mode = options.mode[0], .reserved = {}, .size = options.size};
  if (!write_all(fd, &order, sizeof order)) return broke();
  std::vector<char> piece(options.size, 'y');
  const double begin = now_s();
  const double end = begin + options.seconds;
  std::uint64_t bytes = 0;
  std::vector<double> round_trips;
  if (options.mode == "send") {
    while (now_s() < end) {
      if (!write_all(fd, piece.data(), piece.size())) return broke();
    }
    // What counts is what arrived, and when all of it had.
    shutdown(fd, SHUT_WR);
    if (!read_all(fd, &bytes, sizeof bytes)) return broke();
  } else if (options.mode == "get") {
    while (now_s() < end) {
      const ssize_t got = read(fd, piece.data(), piece.size());
      if (got <= 0) return broke();
      bytes += static_cast<std::uint64_t>(got);
    }
  } else {
    for (double at = begin; at < end;) {
      if (!write_all(fd, piece.data(), piece.size()) || !read_all(fd, piece.data(), piece.size())) {
        return broke();
      }
      const double then = now_s();
      round_trips.push_back((then - at) * 1e6);
      at = then;
      bytes += 2 * piece.size();
    }
  }
  const double seconds = now_s() - begin;
  std::FILE* const out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::perror("netload: --json");
    return 1;
  }
  std::fprintf(out, "{\"mode\": \"%s\", \"bytes\": %llu, \"seconds\": %.3f, \"mbit_s\": %.3f",
               options.mode.c_str(), static_cast<unsigned long long>(bytes), seconds,
               static_cast<double>(bytes) * 8 / seconds / 1e6);
  if (!round_trips.empty()) {
    std::ranges::sort(round_trips);
    double sum = 0;
    for (const double each : round_trips)
      sum += each;
    std::fprintf(out,
                 ", \"n\": %zu, \"mean_us\": %.1f, \"p50_us\": %.1f, \"p95_us\": %.1f, "
                 "\"p99_us\": %.1f",
                 round_trips.size(), sum / static_cast<double>(round_trips.size()),
                 part(round_trips, 0.5), part(round_trips, 0.95), part(round_trips, 0.99));
  }
  std::fprintf(out, "}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.mode == "serve") return serve(options);
  if (options.mode == "send" || options.mode == "get" || options.mode == "echo") {
    return measure(options);
  }
  usage("what to do?");
}

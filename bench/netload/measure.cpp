#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "loads.hpp"
#include "net_address.hpp"
#include "socket.hpp"

namespace ppvmm::netload {
namespace {

double seconds_now() {
  return static_cast<double>(now_ns()) / 1e9;
}

double part(const std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(last * share)];
}

int broke() {
  std::fprintf(stderr, "netload: the connection broke\n");
  return 1;
}

const char* name_of(Mode mode) {
  return mode == Mode::send ? "send" : mode == Mode::get ? "get" : "echo";
}

}  // namespace

int measure(const Options& options, Mode mode) {
  signal(SIGPIPE, SIG_IGN);
  const auto peer = bench::address_of(options.to);
  const int fd = peer ? connect_to(*peer) : -1;
  if (fd < 0) {
    std::perror("netload: connect");
    return 1;
  }
  Order order{.mode = mode, .size = options.size};
  if (order.size == 0) order.size = mode == Mode::echo ? 64 : 65536;
  if (!write_all(fd, &order, sizeof order)) return broke();
  std::vector<char> piece(order.size, 'y');
  const double begin = seconds_now();
  const double end = begin + options.seconds;
  std::uint64_t bytes = 0;
  std::vector<double> round_trips;
  if (mode == Mode::send) {
    while (seconds_now() < end) {
      if (!write_all(fd, piece.data(), piece.size())) return broke();
    }
    // What counts is what arrived, and when all of it had.
    shutdown(fd, SHUT_WR);
    if (!read_all(fd, &bytes, sizeof bytes)) return broke();
  } else if (mode == Mode::get) {
    while (seconds_now() < end) {
      const ssize_t got = read(fd, piece.data(), piece.size());
      if (got <= 0) return broke();
      bytes += static_cast<std::uint64_t>(got);
    }
  } else {
    for (double at = begin; at < end;) {
      if (!write_all(fd, piece.data(), piece.size()) || !read_all(fd, piece.data(), piece.size())) {
        return broke();
      }
      const double then = seconds_now();
      round_trips.push_back((then - at) * 1e6);
      at = then;
      bytes += 2 * piece.size();
    }
  }
  const double seconds = seconds_now() - begin;
  std::FILE* const out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::perror("netload: --json");
    return 1;
  }
  std::fprintf(out, "{\"mode\": \"%s\", \"bytes\": %llu, \"seconds\": %.3f, \"mbit_s\": %.3f",
               name_of(mode), static_cast<unsigned long long>(bytes), seconds,
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
  if (out != stdout) std::fclose(out);
  return 0;
}

}  // namespace ppvmm::netload

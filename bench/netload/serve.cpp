#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "duplex.hpp"
#include "loads.hpp"
#include "socket.hpp"

namespace ppvmm::netload {
namespace {

/// Nobody waits longer for a peer that says nothing at all.
constexpr std::uint64_t kPatienceNs = 300'000'000'000;
constexpr std::uint64_t kLookAgainNs = 1'000'000'000;

/// Drains the peer's stream and answers with how many bytes came.
void sink(int fd, std::vector<char>& piece) {
  std::uint64_t total = 0;
  for (ssize_t got = 0; (got = read(fd, piece.data(), piece.size())) > 0;)
    total += static_cast<std::uint64_t>(got);
  (void)write_all(fd, &total, sizeof total);
}

void check_one(int fd, const Order& order) {
  Duplex end(fd, order.size, order.seed + 1, order.seed, order.rate);
  std::uint64_t heard = now_ns();
  while (end.state() == Duplex::State::streaming || end.state() == Duplex::State::ending) {
    pollfd waiting{.fd = fd, .events = end.wants(now_ns()), .revents = 0};
    const std::uint64_t now = now_ns();
    // One that is due already waits for room, and poll() for that.
    const std::uint64_t sleep =
        end.due_ns() > now ? std::min(end.due_ns() - now, kLookAgainNs - 1) : kLookAgainNs - 1;
    const timespec limit{.tv_sec = 0, .tv_nsec = static_cast<long>(sleep)};
    if (ppoll(&waiting, 1, &limit, nullptr) > 0) heard = now_ns();
    if (now_ns() - heard > kPatienceNs) return;
    end.work(now_ns());
  }
}

void serve_one(int fd) {
  without_delay(fd);
  Order order;
  if (!read_all(fd, &order, sizeof order) || order.size == 0 || order.size > kLargestPiece) return;
  std::vector<char> piece(order.size, 'x');
  switch (order.mode) {
    case Mode::send:
      return sink(fd, piece);
    case Mode::get:
      while (write_all(fd, piece.data(), piece.size())) {
      }
      return;
    case Mode::echo:
      while (read_all(fd, piece.data(), piece.size()) &&
             write_all(fd, piece.data(), piece.size())) {
      }
      return;
    case Mode::check:
      return check_one(fd, order);
  }
}

}  // namespace

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
      listen(door, 64) != 0) {
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

}  // namespace ppvmm::netload

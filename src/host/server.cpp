#include "host/server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <optional>

#include "host/log.hpp"

namespace ppvmm::host {
namespace {

/// Bytes one client may send per turn: enough to batch hundreds of small requests into one system
/// call, little enough that a turn stays far below a millisecond.
constexpr std::size_t kTurnBytes = 32 * 1024;
constexpr std::size_t kEventsPerRound = 64;
constexpr int kAcceptsPerRound = 32;
constexpr int kReadyPasses = 4;

std::uint64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

Fd signal_source() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1})
    ::sigaddset(&wanted, signal);
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0) throw system_failure("blocking signals");
  Fd fd{::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC)};
  if (!fd) throw system_failure("making a signalfd");
  return fd;
}

std::optional<Wake> read_signal(const Fd& source) {
  signalfd_siginfo info{};
  if (::read(source.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return {};
  switch (info.ssi_signo) {
    case SIGHUP:
      return Wake::reopen_log;
    case SIGUSR1:
      return Wake::dump;
    default:
      return Wake::stop;
  }
}

Fd spare_descriptor() {
  return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

}  // namespace

struct Server::Client {
  Fd fd;
  store::ConnId id{};
  std::uint32_t interest{};
  std::vector<std::byte> held{};  ///< Input that the machine did not take yet, oldest first.
  bool closed{};
};

Server::Server(store::Machine machine, Fd listener, std::size_t max_connections)
    : machine_{std::move(machine)},
      listener_{std::move(listener)},
      epoll_{::epoll_create1(EPOLL_CLOEXEC)},
      signals_{signal_source()},
      spare_{spare_descriptor()},
      max_connections_{max_connections},
      time_before_ms_{machine_.now_ms() - monotonic_ms()},
      scratch_(kTurnBytes) {
  if (!epoll_) throw system_failure("making an epoll set");
  watch(listener_.get(), &listener_, EPOLLIN);
  watch(signals_.get(), &signals_, EPOLLIN);
  // In a loaded state there may be sockets of a daemon that is gone.
  for (const store::ConnId id : machine_.sockets())
    machine_.disconnect(id);
}

Server::~Server() = default;

/// The machine's time: a loaded one goes on from its own, whatever this host's clock says.
std::uint64_t Server::now_ms() const {
  return time_before_ms_ + monotonic_ms();
}

void Server::watch(int fd, void* tag, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw system_failure("watching a descriptor");
  }
}

Wake Server::run() {
  std::array<epoll_event, kEventsPerRound> events{};
  while (true) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms());
    if (count < 0 && errno != EINTR) throw system_failure("waiting for clients");
    machine_.advance(now_ms());
    std::optional<Wake> wake;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == &listener_) {
        accept_clients();
      } else if (event.data.ptr == &signals_) {
        wake = read_signal(signals_);
      } else {
        on_client(*static_cast<Client*>(event.data.ptr), event.events);
      }
    }
    settle();
    if (wake) return *wake;
  }
}

int Server::timeout_ms() const {
  if (!ready_.empty()) return 0;
  const auto deadline = machine_.next_deadline_ms();
  if (!deadline) return -1;
  const std::uint64_t now = now_ms();
  if (*deadline <= now) return 1;  // the coarse clock may lag a tick behind the timer
  return static_cast<int>(std::min<std::uint64_t>(*deadline - now + 1, INT_MAX));
}

void Server::accept_clients() {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    Fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE) {
        spare_.reset();
        fd.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        refuse_client();
        fd.reset();
        spare_ = spare_descriptor();
      }
      return;
    }
    if (clients_.size() >= max_connections_) {
      refuse_client();
      continue;
    }
    const store::ConnId id = machine_.connect_socket();
    auto client = std::make_unique<Client>();
    client->fd = std::move(fd);
    client->id = id;
    client->interest = EPOLLIN;
    watch(client->fd.get(), client.get(), client->interest);
    clients_.emplace(id, std::move(client));
  }
}

/// The first refusal is logged, then every time their number has doubled.
void Server::refuse_client() {
  ++refused_;
  if (!std::has_single_bit(refused_)) return;
  spdlog::warn("client refused: {} connections are open, the limit is {}; {} refused so far",
               clients_.size(), max_connections_, refused_);
}

void Server::on_client(Client& client, std::uint32_t events) {
  if (client.closed) return;
  if ((events & EPOLLOUT) != 0) flush(client);
  if (client.closed) return;
  if ((events & EPOLLIN) != 0 && client.held.empty()) {
    const ssize_t count = ::recv(client.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (count > 0) {
      feed(client, std::span{scratch_}.first(static_cast<std::size_t>(count)));
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      close(client);
    }
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    close(client);
  }
}

/// Hands input to the machine and answers to the client, in turns, as long as both go on; holds the
/// rest. While something is held, nothing more is read.
void Server::feed(Client& client, std::span<const std::byte> bytes) {
  while (!client.closed && !bytes.empty()) {
    const std::size_t taken = machine_.receive(client.id, bytes);
    bytes = bytes.subspan(taken);
    flush(client);
    if (taken == 0) break;
  }
  if (client.closed) return;
  if (!bytes.empty()) client.held.assign(bytes.begin(), bytes.end());
  update_interest(client);
}

void Server::feed_held(Client& client) {
  if (client.held.empty()) return;
  const std::vector<std::byte> held = std::exchange(client.held, {});
  feed(client, held);
}

void Server::flush(Client& client) {
  if (machine_.broken(client.id)) return close(client);
  for (auto waiting = machine_.to_send(client.id); !waiting.empty();
       waiting = machine_.to_send(client.id)) {
    const ssize_t count =
        ::send(client.fd.get(), waiting.data(), waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return close(client);
      break;
    }
    machine_.sent(client.id, static_cast<std::size_t>(count));
  }
  update_interest(client);
}

void Server::update_interest(Client& client) {
  std::uint32_t interest = 0;
  if (client.held.empty()) interest |= EPOLLIN;
  if (!machine_.to_send(client.id).empty()) interest |= EPOLLOUT;
  if (interest == client.interest) return;
  client.interest = interest;
  epoll_event event{.events = interest, .data = {.ptr = &client}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd.get(), &event) != 0) close(client);
}

void Server::close(Client& client) {
  if (std::exchange(client.closed, true)) return;
  machine_.disconnect(client.id);
  client.fd.reset();
  const auto entry = clients_.find(client.id);
  closed_.push_back(std::move(entry->second));
  clients_.erase(entry);
}

void Server::serve_ready() {
  for (const store::ConnId id : ready_) {
    const auto entry = clients_.find(id);
    if (entry == clients_.end()) continue;
    Client& client = *entry->second;
    flush(client);
    if (!client.closed) feed_held(client);
  }
}

/// What a round leaves behind: clients that others' requests made ready, effects, log records. What
/// is still ready after a few passes is served in the next round, after everyone who has sent
/// something.
void Server::settle() {
  for (int pass = 0; pass < kReadyPasses; ++pass) {
    ready_ = machine_.take_ready();
    if (ready_.empty()) break;
    serve_ready();
  }
  for (const store::Effect& effect : machine_.take_effects()) {
    if (effect.kind != store::Effect::Kind::attach_domain) continue;
    spdlog::warn("domain {} cannot be attached: this server runs without a hypervisor",
                 effect.domid);
    machine_.introduced(effect.domid, store::IntroduceResult::bad_ring);
  }
  for (const store::LogRecord& record : machine_.take_log())
    write_log(record);
  closed_.clear();
}

}  // namespace ppvmm::host

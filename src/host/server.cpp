#include "host/server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>

#include "host/log.hpp"

namespace ppvmm::host {
namespace {

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
  Link* link{};
  store::ConnId id{};
  std::vector<std::byte> held{};  ///< Input that the machine did not take yet, oldest first.
  bool closed{};
};

Server::Server(store::Machine machine, Fd listener, std::size_t max_connections, Io io)
    : machine_{std::move(machine)},
      listener_{std::move(listener)},
      signals_{signal_source()},
      spare_{spare_descriptor()},
      max_connections_{max_connections},
      io_{io},
      time_before_ms_{machine_.now_ms() - monotonic_ms()} {
  // In a loaded state there may be sockets of a daemon that is gone.
  for (const store::ConnId id : machine_.sockets())
    machine_.disconnect(id);
}

Server::~Server() = default;

/// The machine's time: a loaded one goes on from its own, whatever this host's clock says.
std::uint64_t Server::now_ms() const {
  return time_before_ms_ + monotonic_ms();
}

void Server::start() {
  transport_ = make_transport(io_);
  transport_->watch(listener_.get());
  transport_->watch(signals_.get());
  spdlog::debug("input and output by {}", transport_->name());
}

Wake Server::run() {
  if (!transport_) start();
  wake_.reset();
  while (!wake_) {
    transport_->wait(timeout_ms(), *this);
    settle();
  }
  return *wake_;
}

void Server::readable(int fd) {
  if (fd == listener_.get()) {
    accept_clients();
  } else if (const auto wake = read_signal(signals_)) {
    wake_ = wake;
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
    Fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
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
    client->id = id;
    client->link = &transport_->add(std::move(fd));
    client->link->owner = client.get();
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

void Server::woke() {
  machine_.advance(now_ms());
}

void Server::received(Link& link, std::span<const std::byte> bytes) {
  feed(*static_cast<Client*>(link.owner), bytes);
}

void Server::writable(Link& link) {
  flush(*static_cast<Client*>(link.owner));
}

void Server::gone(Link& link) {
  close(*static_cast<Client*>(link.owner));
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
  transport_->pause(*client.link, !client.held.empty());
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
    const std::size_t count = transport_->send(*client.link, waiting);
    machine_.sent(client.id, count);
    if (count < waiting.size()) break;
  }
}

void Server::close(Client& client) {
  if (std::exchange(client.closed, true)) return;
  machine_.disconnect(client.id);
  transport_->close(*client.link);
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

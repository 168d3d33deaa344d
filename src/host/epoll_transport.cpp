// One read and one write a turn, on readiness.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <unordered_map>
#include <vector>

#include "host/transport.hpp"

namespace ppvmm::host {
namespace {

/// Bytes one client may send per turn: enough to batch hundreds of small requests into one system
/// call, little enough that a turn stays far below a millisecond.
constexpr std::size_t kTurnBytes = 32UL * 1024;
constexpr std::size_t kEventsPerRound = 64;

struct EpollLink final : Link {
  Fd fd;
  std::uint32_t interest{EPOLLIN};
};

class EpollTransport final : public Transport {
 public:
  EpollTransport() : epoll_{::epoll_create1(EPOLL_CLOEXEC)}, scratch_(kTurnBytes) {
    if (!epoll_) throw system_failure("making an epoll set");
  }

  const char* name() const override { return "epoll"; }

  /// Watched descriptors are told from links by the lowest bit, which no pointer to a link has.
  void watch(int fd) override {
    epoll_event event{.events = EPOLLIN,
                      .data = {.u64 = static_cast<std::uint64_t>(fd) << 1U | 1U}};
    control(EPOLL_CTL_ADD, fd, event);
  }

  Link& add(Fd fd) override {
    auto link = std::make_unique<EpollLink>();
    link->fd = std::move(fd);
    epoll_event event{.events = link->interest, .data = {.ptr = link.get()}};
    control(EPOLL_CTL_ADD, link->fd.get(), event);
    EpollLink& added = *link;
    links_.emplace(&added, std::move(link));
    return added;
  }

  std::size_t send(Link& link, std::span<const std::byte> bytes) override {
    auto& to = static_cast<EpollLink&>(link);
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::send(to.fd.get(), bytes.data() + done, bytes.size() - done,
                                   MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) break;  // a broken socket is told as gone by the next wait
      done += static_cast<std::size_t>(count);
    }
    want(to, EPOLLOUT, done < bytes.size());
    return done;
  }

  void pause(Link& link, bool paused) override {
    want(static_cast<EpollLink&>(link), EPOLLIN, !paused);
  }

  void close(Link& link) override {
    static_cast<EpollLink&>(link).fd.reset();
    closed_.push_back(links_.extract(&link));
  }

  void wait(int timeout_ms, TransportEvents& events) override {
    closed_.clear();
    std::array<epoll_event, kEventsPerRound> found{};
    const int count =
        ::epoll_wait(epoll_.get(), found.data(), static_cast<int>(found.size()), timeout_ms);
    if (count < 0 && errno != EINTR) throw system_failure("waiting for clients");
    events.woke();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = found[static_cast<std::size_t>(i)];
      if ((event.data.u64 & 1U) != 0) {
        events.readable(static_cast<int>(event.data.u64 >> 1U));
      } else {
        tell(*static_cast<EpollLink*>(event.data.ptr), event.events, events);
      }
    }
  }

 private:
  void tell(EpollLink& link, std::uint32_t happened, TransportEvents& events) {
    if (!link.fd) return;  // closed in this round
    if ((happened & EPOLLOUT) != 0) events.writable(link);
    if (!link.fd) return;
    if ((happened & link.interest & EPOLLIN) != 0) {
      const ssize_t count = ::recv(link.fd.get(), scratch_.data(), scratch_.size(), MSG_DONTWAIT);
      if (count > 0) {
        events.received(link, std::span{scratch_}.first(static_cast<std::size_t>(count)));
      } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        events.gone(link);
      }
    } else if ((happened & (EPOLLHUP | EPOLLERR)) != 0) {
      events.gone(link);
    }
  }

  void want(EpollLink& link, std::uint32_t what, bool wanted) {
    const std::uint32_t interest = wanted ? link.interest | what : link.interest & ~what;
    if (interest == link.interest) return;
    link.interest = interest;
    epoll_event event{.events = interest, .data = {.ptr = &link}};
    control(EPOLL_CTL_MOD, link.fd.get(), event);
  }

  void control(int operation, int fd, epoll_event& event) {
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0) {
      throw system_failure("watching a descriptor");
    }
  }

  Fd epoll_;
  std::vector<std::byte> scratch_;
  using Links = std::unordered_map<const Link*, std::unique_ptr<EpollLink>>;
  Links links_;
  std::vector<Links::node_type> closed_;  ///< Events of this round may point at them.
};

}  // namespace

std::unique_ptr<Transport> make_epoll_transport() {
  return std::make_unique<EpollTransport>();
}

}  // namespace ppvmm::host

// All reads and writes of a round in one system call.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/transport.hpp"

namespace ppvmm::host {
namespace {

/// Bytes that one client may send per turn, and the most of its answers that are on their way at a
/// time: what the kernel works on must stay where it is, so each link has its own.
constexpr std::size_t kReceiveBytes = 8UL * 1024;
constexpr std::size_t kSendBytes = 16UL * 1024;
constexpr unsigned kRequests = 256;
constexpr unsigned kCompletions = 4096;

struct UringLink;

/// What the kernel gives back with a completion: which request it was, and whose.
struct Request {
  enum class Kind : std::uint8_t { receive, send, watch };
  Kind kind{};
  UringLink* link{};  ///< receive and send
  int fd{-1};         ///< watch
};

struct UringLink final : Link {
  Fd fd;
  Request receive{.kind = Request::Kind::receive, .link = this, .fd = -1};
  Request send{.kind = Request::Kind::send, .link = this, .fd = -1};
  std::array<std::byte, kReceiveBytes> input{};
  std::vector<std::byte> output;
  bool receiving{};
  bool sending{};
  bool quick{};           ///< The send() under way does not wait for room; see finish_quick().
  bool quick_failed{};    ///< And the kernel has not taken all of it.
  bool waits_for_room{};  ///< A send() took less than it was given.
  bool paused{};
  bool closed{};
};

class UringTransport final : public Transport {
 public:
  explicit UringTransport(const io_uring& ring)
      : ring_{ring},
        silent_{(ring.features & IORING_FEAT_CQE_SKIP) != 0},
        receive_flags_{(ring.flags & IORING_SETUP_DEFER_TASKRUN) != 0
                           ? std::uint16_t{IORING_RECVSEND_POLL_FIRST}
                           : std::uint16_t{0}} {
    ::io_uring_register_ring_fd(&ring_);  // spares a look-up in every call; without it it goes too
  }
  ~UringTransport() override { ::io_uring_queue_exit(&ring_); }

  const char* name() const override { return "io_uring"; }

  void watch(int fd) override {
    watched_.push_back(std::make_unique<Request>(
        Request{.kind = Request::Kind::watch, .link = nullptr, .fd = fd}));
    poll(*watched_.back());
  }

  /// A socket that does not block would be answered EAGAIN instead of being waited for.
  Link& add(Fd fd) override {
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) {
      throw system_failure("setting a socket up");
    }
    auto link = std::make_unique<UringLink>();
    link->fd = std::move(fd);
    link->output.reserve(kSendBytes);
    UringLink& added = *link;
    links_.emplace(&added, std::move(link));
    receive(added);
    return added;
  }

  std::size_t send(Link& link, std::span<const std::byte> bytes) override {
    auto& to = static_cast<UringLink&>(link);
    if (to.sending) {
      to.waits_for_room = true;
      return 0;
    }
    const std::size_t count = std::min(bytes.size(), kSendBytes);
    to.output.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    to.sending = true;
    to.waits_for_room = count < bytes.size();
    if (silent_) {
      submit_send(to, MSG_DONTWAIT, IOSQE_CQE_SKIP_SUCCESS);
      to.quick = true;
      quick_.push_back(&to);
    } else {
      submit_send(to, 0, 0);
    }
    return count;
  }

  void pause(Link& link, bool paused) override {
    auto& at = static_cast<UringLink&>(link);
    at.paused = paused;
    if (!paused && !at.receiving && telling_ != &at) receive(at);
  }

  /// Requests that the kernel still works on hold the buffers: the link stays until they are back,
  /// which the shutdown makes soon.
  void close(Link& link) override {
    auto& at = static_cast<UringLink&>(link);
    at.closed = true;
    ::shutdown(at.fd.get(), SHUT_RDWR);
    if (!at.receiving && !at.sending) idle_.push_back(&at);
  }

  void wait(int timeout_ms, TransportEvents& events) override {
    for (const Link* link : idle_)
      links_.erase(link);
    idle_.clear();
    submit(offers_more() ? 0 : timeout_ms);
    events.woke();
    finish_quick(events);
    io_uring_cqe* completion = nullptr;
    for (unsigned told = 0; told < kRequests && ::io_uring_peek_cqe(&ring_, &completion) == 0;
         ++told) {
      auto* request = static_cast<Request*>(::io_uring_cqe_get_data(completion));
      const int result = completion->res;
      ::io_uring_cqe_seen(&ring_, completion);
      tell(*request, result, events);
    }
  }

 private:
  /// A send that never waits is over when the kernel has taken it, and says so only if it failed:
  /// the answer leaves and the next request is awaited in one system call, and nothing wakes us in
  /// between.
  void finish_quick(TransportEvents& events) {
    if (quick_.empty()) return;
    unsigned head = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      const auto* request = static_cast<const Request*>(::io_uring_cqe_get_data(completion));
      if (request->kind == Request::Kind::send) request->link->quick_failed = request->link->quick;
    }
    for (UringLink* link : std::exchange(quick_, {})) {
      // One that has failed tells it itself, below.
      link->quick = false;
      if (link->quick_failed) continue;
      link->sending = false;
      if (!link->closed) {
        tell_sent(*link, static_cast<int>(link->output.size()), events);
      } else if (!link->receiving) {
        idle_.push_back(link);
      }
    }
  }

  /// Whether someone is to be told as soon as his quick send is over.
  [[nodiscard]] bool offers_more() const {
    return std::ranges::any_of(quick_, [](const UringLink* link) { return link->waits_for_room; });
  }

  /// The socket is full: what is left goes when there is room.
  void send_rest(UringLink& link, std::size_t gone) {
    const std::size_t count = std::min(gone, link.output.size());
    link.output.erase(link.output.begin(),
                      link.output.begin() + static_cast<std::ptrdiff_t>(count));
    submit_send(link, 0, 0);
  }

  void submit_send(UringLink& to, int flags, unsigned request_flags) {
    io_uring_sqe* request = next();
    ::io_uring_prep_send(request, to.fd.get(), to.output.data(), to.output.size(),
                         MSG_NOSIGNAL | MSG_WAITALL | flags);
    ::io_uring_sqe_set_flags(request, request_flags);
    ::io_uring_sqe_set_data(request, &to.send);
  }

  io_uring_sqe* next() {
    io_uring_sqe* request = ::io_uring_get_sqe(&ring_);
    if (request == nullptr) {
      submit(0);
      request = ::io_uring_get_sqe(&ring_);
    }
    if (request == nullptr) {
      errno = EBUSY;
      throw system_failure("handing requests to io_uring");
    }
    return request;
  }

  void submit(int timeout_ms) {
    __kernel_timespec limit{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
    io_uring_cqe* ignored = nullptr;
    const int result = timeout_ms == 0
                           ? ::io_uring_submit_and_get_events(&ring_)
                           : ::io_uring_submit_and_wait_timeout(
                                 &ring_, &ignored, 1, timeout_ms < 0 ? nullptr : &limit, nullptr);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY) {
      errno = -result;
      throw system_failure("waiting for clients");
    }
  }

  void receive(UringLink& link) {
    io_uring_sqe* request = next();
    ::io_uring_prep_recv(request, link.fd.get(), link.input.data(), link.input.size(), 0);
    request->ioprio = receive_flags_;
    ::io_uring_sqe_set_data(request, &link.receive);
    link.receiving = true;
  }

  void poll(Request& watched) {
    io_uring_sqe* request = next();
    ::io_uring_prep_poll_add(request, watched.fd, POLLIN);
    ::io_uring_sqe_set_data(request, &watched);
  }

  void tell(Request& request, int result, TransportEvents& events) {
    if (request.kind == Request::Kind::watch) {
      events.readable(request.fd);
      poll(request);
      return;
    }
    UringLink& link = *request.link;
    const bool sent = request.kind == Request::Kind::send;
    if (sent && std::exchange(link.quick_failed, false) && !link.closed &&
        (result >= 0 || result == -EAGAIN)) {
      send_rest(link, static_cast<std::size_t>(std::max(result, 0)));
      return;
    }
    (sent ? link.sending : link.receiving) = false;
    if (!link.closed) {
      telling_ = &link;
      sent ? tell_sent(link, result, events) : tell_received(link, result, events);
      telling_ = nullptr;
    } else if (!link.receiving && !link.sending) {
      idle_.push_back(&link);
      return;
    }
    if (!link.closed && !link.receiving && !link.paused) receive(link);
  }

  static void tell_sent(UringLink& link, int result, TransportEvents& events) {
    if (result < 0 || static_cast<std::size_t>(result) < link.output.size()) {
      events.gone(link);
    } else if (link.waits_for_room) {
      link.waits_for_room = false;
      events.writable(link);
    }
  }

  static void tell_received(UringLink& link, int result, TransportEvents& events) {
    if (result > 0) {
      events.received(link, std::span{link.input}.first(static_cast<std::size_t>(result)));
    } else if (result == 0 || (result != -EAGAIN && result != -EINTR)) {
      events.gone(link);
    }
  }

  io_uring ring_;
  const bool silent_;  ///< The kernel can keep quiet about what succeeds (Linux 5.17).
  /// The client has had its answer only just: there is nothing to be read yet, so the kernel waits
  /// without trying first (Linux 5.19; who takes DEFER_TASKRUN knows it).
  const std::uint16_t receive_flags_;
  std::vector<UringLink*> quick_;  ///< Whose quick send is on its way.
  std::vector<std::unique_ptr<Request>> watched_;
  std::unordered_map<const Link*, std::unique_ptr<UringLink>> links_;
  std::vector<const Link*> idle_;  ///< Closed, and the kernel has nothing of theirs any more.
  const Link* telling_{};          ///< Whose input is being looked at: it must not be written to.
};

}  // namespace

std::unique_ptr<Transport> make_uring_transport() {
  io_uring ring{};
  io_uring_params parameters{};
  parameters.cq_entries = kCompletions;
  // Work is done when we wait, not by interrupting us (Linux 6.1); older kernels do without.
  parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  if (::io_uring_queue_init_params(kRequests, &ring, &parameters) != 0) {
    parameters = {};
    parameters.cq_entries = kCompletions;
    parameters.flags = IORING_SETUP_CQSIZE;
    if (::io_uring_queue_init_params(kRequests, &ring, &parameters) != 0) return nullptr;
  }
  return std::make_unique<UringTransport>(ring);
}

}  // namespace ppvmm::host

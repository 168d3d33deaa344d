/// How bytes travel between the server and its clients' sockets: by epoll or by io_uring.
///
/// The server is written once against this interface; what differs is how many system calls a
/// request costs. With epoll it is a read and a write for each, with io_uring all reads and writes
/// of a round are one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "host/fd.hpp"

namespace ppvmm::host {

enum class Io : std::uint8_t {
  automatic,  ///< io_uring where the kernel (and the sandbox) has it, else epoll.
  epoll,
  io_uring,
};

/// A client's socket in a transport's care. The transport owns it and frees it some time after
/// close().
class Link {
 public:
  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void* owner{};  ///< For the one who added the link; the transport does not look at it.

 protected:
  Link() = default;
};

/// What a transport tells. Every function may call the transport, close() of the same link
/// included.
class TransportEvents {
 public:
  /// The wait is over, for an event or for its time limit; what happened is told next.
  virtual void woke() = 0;
  /// Bytes came; they are valid during the call.
  virtual void received(Link& link, std::span<const std::byte> bytes) = 0;
  /// A send() that took less than it was given may be tried again.
  virtual void writable(Link& link) = 0;
  /// The client is gone or its socket broke. The link still waits for close().
  virtual void gone(Link& link) = 0;
  /// A descriptor given to watch() is readable.
  virtual void readable(int fd) = 0;

 protected:
  ~TransportEvents() = default;
};

class Transport {
 public:
  virtual ~Transport() = default;
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] virtual const char* name() const = 0;
  /// Says when `fd`, which the caller keeps, is readable: again and again.
  virtual void watch(int fd) = 0;
  /// Takes over a connected socket and begins to read from it. Throws std::system_error.
  virtual Link& add(Fd fd) = 0;
  /// Takes bytes to send and returns how many: fewer than given means that the rest must be offered
  /// again when the link is writable.
  virtual std::size_t send(Link& link, std::span<const std::byte> bytes) = 0;
  /// While paused, nothing is read. A read that is under way still tells its bytes: from received()
  /// on, there is none.
  virtual void pause(Link& link, bool paused) = 0;
  /// No event of this link is told any more, and the reference dies when the caller returns to
  /// wait().
  virtual void close(Link& link) = 0;
  /// Sends what waits to be sent, waits for events at most `timeout_ms` (negative: for ever) and
  /// tells them. Throws std::system_error when the kernel refuses to wait.
  virtual void wait(int timeout_ms, TransportEvents& events) = 0;
};

/// Throws std::system_error when the kernel does not give what was asked for. Must be called in the
/// process that uses it, after any fork.
[[nodiscard]] std::unique_ptr<Transport> make_transport(Io io);

/// The two kinds. The second is empty where the kernel or its sandbox has no io_uring.
[[nodiscard]] std::unique_ptr<Transport> make_epoll_transport();
[[nodiscard]] std::unique_ptr<Transport> make_uring_transport();

}  // namespace ppvmm::host

/// A XenStore server under comparison: the same few calls for a real daemon and for our machine.
///
/// Calls are synchronous. A server that stops answering is reported as such and never waited for
/// twice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "differential/step.hpp"

namespace ppvmm::differential {

/// What came back for a request.
struct Answer {
  enum class Kind : std::uint8_t {
    reply,   ///< A message: `type` and `payload`.
    none,    ///< Nothing within the time limit.
    closed,  ///< The server closed the connection.
    absent   ///< The actor has no connection: the step did not happen.
  };
  Kind kind{Kind::absent};
  std::uint32_t type{};
  std::string payload;

  friend bool operator==(const Answer&, const Answer&) = default;
};

/// One watch event: path NUL token NUL, as on the wire.
using Event = std::string;

class Server {
 public:
  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  virtual ~Server() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;

  virtual void open(Actor actor) = 0;
  virtual void close(Actor actor) = 0;
  [[nodiscard]] virtual bool connected(Actor actor) const = 0;

  /// Sends a request and waits for its answer. Domains are connected from the moment that the
  /// server has answered OK to their INTRODUCE; tell it with attached().
  virtual Answer ask(Actor actor, std::uint32_t type, std::uint32_t transaction,
                     std::string_view payload) = 0;
  /// The domain's ring is served from now on (or again, with empty rings).
  virtual void attached(std::uint16_t domid) = 0;
  /// The domain's ring is not served any more.
  virtual void detached(std::uint16_t domid) = 0;

  /// Returns when every event caused so far has arrived.
  virtual void settle() = 0;
  /// Events the actor got since the last call, in order.
  virtual std::vector<Event> take_events(Actor actor) = 0;

  // What Xen does. Each returns when the server has taken note of it.
  virtual void create(std::uint16_t domid) = 0;
  virtual void shut_down(std::uint16_t domid, bool crash) = 0;
  virtual void resumed(std::uint16_t domid) = 0;
  virtual void destroy(std::uint16_t domid) = 0;
  [[nodiscard]] virtual bool exists(std::uint16_t domid) const = 0;
  [[nodiscard]] virtual std::uint32_t offered_port(std::uint16_t domid) const = 0;

  /// Empty while the server runs; else how it ended.
  [[nodiscard]] virtual std::string ended() = 0;
};

}  // namespace ppvmm::differential

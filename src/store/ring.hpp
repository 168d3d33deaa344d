/// The two ends of a XenStore ring page: byte queues between a guest and the server, in one page of
/// the guest's memory.
///
/// Spec: Xen docs/misc/xenstore-ring.txt; layout: public header io/xs_wire.h. The rings carry a
/// byte stream, not messages: a message may be larger than a ring and may arrive in any number of
/// pieces.
///
/// The page belongs to the guest and may change at any time. Every index is read once, checked, and
/// then used; bytes are copied out before anybody looks at them (XSA-38). The indexes in the page
/// are the only ones there are: a server that is reborn makes new objects over the same page and
/// goes on from where they point.
///
/// Each end has a one-line rule for events: *after* a call that says so, notify the peer's port
/// once (several changes may share one notification); *before* looking for work, clear the own
/// port's pending bit.
#pragma once

#include <stdint.h>  // xs_wire.h needs the types but does not include them
#include <xen/io/xs_wire.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

namespace ppvmm::store {

/// The shared page's used part, as io/xs_wire.h lays it out.
using RingPage = xenstore_domain_interface;

static_assert(XENSTORE_RING_SIZE == 1024);
static_assert(offsetof(RingPage, req) == 0);
static_assert(offsetof(RingPage, rsp) == 1024);
static_assert(offsetof(RingPage, req_cons) == 2048);
static_assert(offsetof(RingPage, req_prod) == 2052);
static_assert(offsetof(RingPage, rsp_cons) == 2056);
static_assert(offsetof(RingPage, rsp_prod) == 2060);
static_assert(offsetof(RingPage, server_features) == 2064);
static_assert(offsetof(RingPage, connection) == 2068);
static_assert(offsetof(RingPage, error) == 2072);
static_assert(sizeof(RingPage) == 2076);

/// Bytes in one direction's queue.
inline constexpr std::size_t kRingBytes = XENSTORE_RING_SIZE;

/// What can be wrong with the page.
enum class RingError : std::uint8_t {
  bad_indexes,  ///< Producer and consumer are further apart than the queue is long.
};

/// The consuming end of one direction.
class RingReader {
 public:
  RingReader(const char (&queue)[kRingBytes], std::uint32_t& consumer, std::uint32_t& producer)
      : queue_{queue}, consumer_{&consumer}, producer_{&producer} {}

  /// Copies the oldest unconsumed bytes, as many as there are and fit into `out`. They stay in the
  /// queue until consume(), so a server that dies in between reads them again.
  [[nodiscard]] std::expected<std::size_t, RingError> peek(std::span<std::byte> out);

  /// Frees the first `count` bytes of what the last peek() gave. The peer must be notified if
  /// `count` is not zero.
  void consume(std::size_t count);

 private:
  const char* queue_;
  std::uint32_t* consumer_;
  std::uint32_t* producer_;
  std::uint32_t position_{};  ///< The consumer index that the last peek() read and checked.
};

/// The producing end of one direction.
class RingWriter {
 public:
  RingWriter(char (&queue)[kRingBytes], std::uint32_t& consumer, std::uint32_t& producer)
      : queue_{queue}, consumer_{&consumer}, producer_{&producer} {}

  /// Appends as much of `bytes` as there is room for and returns how much that was. The peer must
  /// be notified if it was not zero.
  [[nodiscard]] std::expected<std::size_t, RingError> write(std::span<const std::byte> bytes);

 private:
  char* queue_;
  std::uint32_t* consumer_;
  std::uint32_t* producer_;
};

/// The server's end. Holds no state of its own beyond the page's address; the page must outlive it.
class ServerRing {
 public:
  /// Bits this server sets at offset 2064.
  static constexpr std::uint32_t kFeatures =
      XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;

  explicit ServerRing(RingPage& page);

  RingReader requests;
  RingWriter responses;

  /// Tells the guest what the server can do. To be called before the first byte is read or written;
  /// bits that are already set stay set.
  void advertise();

  /// The guest wants its connection reset. Answer with Machine::reconnect() and then reset().
  [[nodiscard]] bool reconnect_requested() const;

  /// Empties both queues, clears the error, and only then declares the ring connected. The peer
  /// must be notified.
  void reset();

  /// Tells the guest why it is no longer served: one of XENSTORE_ERROR_*. The peer must be
  /// notified.
  void report(std::uint32_t error);

 private:
  RingPage* page_;
};

/// The guest's end, for tests, simulation and load clients. A guest trusts its server no more than
/// the server trusts the guest.
class ClientRing {
 public:
  explicit ClientRing(RingPage& page);

  RingWriter requests;
  RingReader responses;

  [[nodiscard]] std::uint32_t features() const;
  [[nodiscard]] std::uint32_t error() const;

  /// Asks for a reset; false when the server does not offer it. Until connected() is true again
  /// neither queue may be used. The peer must be notified.
  [[nodiscard]] bool request_reconnect();
  [[nodiscard]] bool connected() const;

 private:
  RingPage* page_;
};

}  // namespace ppvmm::store

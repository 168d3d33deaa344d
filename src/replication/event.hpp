/// What changes the store: one event per record of the log. Executing the same events in the same
/// order gives the same machine, on every replica.
///
/// Spec: docs/replication.md, "Records".
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "replication/layout.hpp"
#include "store/machine.hpp"
#include "store/types.hpp"

namespace ppvmm::replication {

using store::DomId;

struct Event {
  enum class Kind : std::uint8_t {
    /// Request bytes of a domain: a whole request, or a piece of one that is larger than the ring.
    input = 1,
    /// The shell carried out (or could not) an attach_domain effect.
    introduced = 2,
    /// The first domain's ring, given to the server at start-up without an INTRODUCE.
    connected = 3,
    /// The ring's indexes cannot be.
    failed = 4,
    /// The guest asked for its connection to be reset.
    reconnect = 5,
    shutdown = 6,  ///< Machine::domain_shutdown.
    dead = 7,      ///< Machine::domain_dead.
    reborn = 8,    ///< Machine::domain_reborn.
    tick = 9,      ///< Time passed, and that mattered.
    /// The state is old and the ring is not: the connection goes on at the ring's own indexes.
    resumed = 10,
  };

  /// Where a connection's ring is, and where its streams begin.
  struct Ring {
    std::uint64_t gfn{};
    std::uint32_t port{};
    std::uint32_t request_base{};   ///< req_cons when the connection began.
    std::uint32_t response_base{};  ///< rsp_prod when the connection began.
  };

  Kind kind{};
  DomId domid{};
  std::uint64_t now_ms{};  ///< The machine's clock is set to this first.

  std::uint64_t in_before{};         ///< input: stream offset of the first byte.
  std::span<const std::byte> bytes;  ///< input: not empty; owned by whoever made the event.
  store::IntroduceResult result{};   ///< introduced.
  Ring ring;                         ///< introduced (attached), connected.
};

/// Answer bytes that reached a ring since the record before: what happens at the ring is seen by
/// the primary alone, and unread answers count in quotas, so replicas are told.
struct Settlement {
  DomId domid{};
  std::uint32_t bytes{};
};

/// At most so many per record; a busier primary logs a tick that carries the others.
inline constexpr std::size_t kSettlementsMax = 255;

/// An upper bound of the log bytes that an input record with `bytes` of input needs.
std::uint64_t record_bound(std::size_t input_bytes);

/// The record of `event`, head included and padded, as it lies in the log.
void encode(std::uint64_t key, std::uint64_t sequence, const Event& event,
            std::span<const Settlement> settlements, std::vector<std::byte>& record);

struct Decoded {
  std::uint64_t sequence{};
  Event event;  ///< Its bytes point into the record.
  std::vector<Settlement> settlements;
};

/// Takes a record apart whose check was right. Nothing if its fields contradict each other, which
/// only another version of this code, or a forger who has the key, could have caused.
std::optional<Decoded> decode(std::span<const std::byte> record);

/// The check of record number `sequence`. `checked`: its bytes from kCheckedOffset to the payload's
/// end.
std::uint64_t record_check(std::uint64_t key, std::uint64_t sequence,
                           std::span<const std::byte> checked);

}  // namespace ppvmm::replication

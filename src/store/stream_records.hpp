/// Our own records in the migration stream: what version 1 of the format cannot say, so that a
/// loaded machine goes on exactly as the dumped one would have. Layouts: docs/xenstore-stream.md.
#pragma once

#include <array>
#include <cstdint>

#include "store/stream_format.hpp"

namespace ppvmm::store::stream {

/// Record types of ours. A stream without them is loaded with defaults; types of this range that
/// are not listed are skipped.
enum class OwnRecord : std::uint32_t {
  machine = kOwnRecords,
  generations,
  connection,
  domain,
  transaction,
  transaction_access,
  transaction_node,
};

/// OwnRecord::connection, flags.
inline constexpr std::uint32_t kConnectionBroken = 1;
inline constexpr std::uint32_t kConnectionStalled = 2;

/// OwnRecord::domain, flags.
inline constexpr std::uint16_t kDomainShutDown = 1;
inline constexpr std::uint16_t kDomainMemoryWarned = 2;
inline constexpr std::uint16_t kDomainThrottleLogged = 4;
inline constexpr std::uint16_t kDomainReintroduction = 8;

/// OwnRecord::transaction, flags.
inline constexpr std::uint32_t kTransactionDoomed = 1;

/// OwnRecord::transaction_node: of which tree the record tells, and what.
enum class Side : std::uint8_t {
  base = 0,  ///< The snapshot, as it differs from the committed tree.
  view = 1,  ///< The transaction's own tree, as it differs from its snapshot.
};
enum class Change : std::uint8_t { put = 0, removed = 1 };

/// OwnRecord::machine: the counters that no recount gives.
inline constexpr std::array kCounters{
    &Statistics::requests,
    &Statistics::reads,
    &Statistics::writes,
    &Statistics::transactions_committed,
    &Statistics::transactions_conflicted,
    &Statistics::events_fired,
    &Statistics::events_expired,
    &Statistics::refusals,
};

/// NODE_DATA, before permissions, path and value.
struct NodeHead {
  std::uint32_t connection;
  std::uint32_t transaction;
  std::uint16_t path_length;  ///< NUL included.
  std::uint16_t value_length;
  std::uint16_t accesses;
  std::uint16_t permissions;
};
static_assert(sizeof(NodeHead) == 16);

/// One permission: letter, flags, domid.
inline constexpr std::size_t kPermissionBytes = 4;

/// NODE_DATA permission letters by Access bits.
inline constexpr std::array<char, 4> kAccessLetters{'n', 'r', 'w', 'b'};
/// NODE_DATA, flag of a permission that names a domain which is gone.
inline constexpr std::uint8_t kStalePermission = 1;

}  // namespace ppvmm::store::stream

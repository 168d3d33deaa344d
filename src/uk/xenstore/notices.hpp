/// What the store tells root (abi/xenstore_set.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/xenstore_set.hpp"
#include "kernel/vitals.hpp"
#include "replication/replica_set.hpp"

namespace ppvmm::xenstore {

using abi::xenstore_set::Notice;

inline void post(Notice notice, std::size_t subject = 0, std::uint64_t value = 0) {
  kernel::vitals::post(static_cast<std::uint32_t>(notice), static_cast<std::uint32_t>(subject),
                       value);
}

/// The notice for a report of the replica set's; nothing for what root need not know.
[[nodiscard]] constexpr std::optional<Notice> notice_of(replication::Report::Kind kind) {
  using Kind = replication::Report::Kind;
  switch (kind) {
    case Kind::backup_stuck:
      return Notice::backup_stuck;
    case Kind::backup_damaged:
      return Notice::backup_damaged;
    case Kind::backup_lost:
      return Notice::backup_lost;
    case Kind::backup_joined:
      return Notice::backup_joined;
    case Kind::refill_failed:
      return Notice::refill_failed;
    case Kind::alone:
      return Notice::alone;
    case Kind::connection_failed:
      return Notice::connection_failed;
    case Kind::refill_restarted:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace ppvmm::xenstore

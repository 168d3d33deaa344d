/// What a reborn primary does first: look at the regions, choose the one with the longest intact
/// log, rebuild the state from it, and bring the other one up to it. Needs no help from backups.
///
/// Spec: docs/replication.md, "Rebirth of the primary".
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "replication/checkpoint.hpp"
#include "replication/replica_set.hpp"

namespace ppvmm::replication {

/// What recovery thinks of one region.
enum class Standing : std::uint8_t {
  absent,      ///< No memory given.
  unreadable,  ///< Not a region.
  joining,     ///< Was being filled: holds nothing whole.
  left_out,    ///< Not known to be a member when the last record was acknowledged.
  damaged,     ///< Its checkpoints or its log cannot be used to the end that it promises.
  diverged,    ///< The digests say that its state is wrong.
  complete,    ///< A member, equal to the chosen one at the end.
};

struct Recovery {
  Restored state;
  ReplicaSet set;  ///< Holds the complete regions; the others want to be added and filled.
  std::array<Standing, kBackups> standing{};
  std::size_t source{};      ///< The region that the state came from.
  std::uint64_t replayed{};  ///< Records executed behind the checkpoint.
  /// No region that was a member at the end could be used to its end: what was acknowledged after
  /// the last record here is lost. To be told loudly.
  bool stale{};
};

enum class RecoveryError : std::uint8_t {
  nothing_there,  ///< No region was ever filled: the host's first start.
  all_lost,       ///< There was a state, and none of it can be used.
};

/// Reads and repairs the regions. Dying in the middle and beginning again is harmless. All stores
/// go to regions that were members; a region that is not complete is left as it is.
[[nodiscard]] std::expected<Recovery, RecoveryError> recover(
    const std::array<SharedMemory, kBackups>& memories, const store::Options& options);

}  // namespace ppvmm::replication

/// The log ring of a region: appended to by the primary, read by the backup and by a reborn
/// primary. There is no acknowledgement: a record counts once its first word is there.
///
/// Spec: docs/replication.md, "Log".
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "replication/region.hpp"

namespace ppvmm::replication {

/// A place between two records. Equal in all regions of a set, because all hold the same records.
struct LogTail {
  std::uint64_t sequence{};  ///< The record before this place. The first record ever is 1.
  std::uint64_t position{};  ///< Bytes before this place since the first record; modulo log_bytes.

  bool operator==(const LogTail&) const = default;
};

/// Whether `size` bytes can be appended at `tail` without touching what the backup may still need.
/// `damaged`: the backup's word is not one it can have written.
[[nodiscard]] std::expected<bool, RegionError> has_room(const Region& region, const LogTail& tail,
                                                        std::uint64_t size);
/// The same for who has read the word himself: nothing if it was damaged.
[[nodiscard]] inline std::expected<bool, RegionError> has_room(
    const Geometry& geometry, std::optional<std::uint64_t> released, const LogTail& tail,
    std::uint64_t size) {
  const std::uint64_t capacity = geometry.log_bytes;
  if (!released || *released > tail.position || tail.position - *released > capacity) {
    return std::unexpected{RegionError::damaged};
  }
  return capacity - (tail.position - *released) >= size;
}

/// Appends an encoded record whose sequence number is tail.sequence + 1. There must be room.
/// The record is visible to readers when, and only when, this call's next-to-last store happened.
void append(Region& region, const LogTail& tail, std::span<const std::byte> record);
/// The same with the sealed word that goes to kAppendedOffset, for who has it already.
void append(Region& region, const LogTail& tail, std::span<const std::byte> record,
            std::uint64_t appended);

/// The place behind a record of `size` bytes.
[[nodiscard]] constexpr LogTail after(const LogTail& tail, std::size_t size) {
  return {tail.sequence + 1, tail.position + size};
}

enum class Found : std::uint8_t {
  record,   ///< Copied out, check right.
  nothing,  ///< The log ends here.
  damaged,  ///< A record was appended here, and is no longer what it was.
};

/// Copies the record at `tail`, head included, into `record`.
[[nodiscard]] Found read(const Region& region, const LogTail& tail, std::vector<std::byte>& record);

}  // namespace ppvmm::replication

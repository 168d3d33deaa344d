/// The region: the part of a backup's memory that the primary maps. Everything a reborn primary
/// needs lies in it, and nothing in it needs the backup to run.
///
///     0       Identity           64    written when the region is formatted
///     64      membership          8    sealed word, written by the primary
///     72      appended            8    sealed word, written by the primary: newest record
///     128     released            8    sealed word, written by the backup: log position
///     136     applied             8    sealed word, written by the backup: sequence number
///     192     Digest x 64        32    written by the backup, entry = sequence % 64
///     4096    Intent x 2 x slots 64    written by the primary
///     log     capacity                 written by the primary, ring of records
///     area 0  Checkpoint + body        written by the backup (by the primary while it refills)
///     area 1  Checkpoint + body
///
/// Spec: docs/replication.md, "Region".
#pragma once

#include <cstddef>
#include <cstdint>

namespace ppvmm::replication {

/// "PPVMREGN", in memory order.
inline constexpr std::uint64_t kRegionMagic = 0x4E4745524D565050u;
/// 2: a record's check is one digest over what lies behind it.
inline constexpr std::uint32_t kLayoutVersion = 2;

/// Sizes of a region. All regions of one set are equal, so that a record has the same position in
/// every log.
struct Geometry {
  std::uint64_t log_bytes{4u << 20};         ///< A power of two, at least 64 KiB.
  std::uint64_t checkpoint_bytes{8u << 20};  ///< Of one area, header included; multiple of 4096.
  std::uint32_t slots{1024};                 ///< Connections; multiple of 32.

  bool operator==(const Geometry&) const = default;
};

/// Says what the region is; checked before anything else in it is believed.
struct Identity {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  std::uint64_t log_bytes;
  std::uint64_t checkpoint_bytes;
  /// Seed of every checksum in the set. Guests never see it, so no guest's bytes, lying in an old
  /// stretch of the log, can pass for a record.
  std::uint64_t key;
  std::uint64_t reserved[2];
  std::uint64_t check;  ///< Over the 56 bytes before it.
};
static_assert(sizeof(Identity) == 64);

/// What one record did to the tree, as this backup sees it.
struct Digest {
  std::uint64_t sequence;
  std::uint64_t digest;
  std::uint64_t reserved;
  std::uint64_t check;  ///< Over the 24 bytes before it.
};
static_assert(sizeof(Digest) == 32);

/// One publication, written before it happens. Offsets count bytes of the connection's two streams
/// since its epoch began. See intent.hpp.
struct Intent {
  std::uint64_t serial;        ///< 1, 2, 3 ... per epoch; slot = serial % 2.
  std::uint64_t epoch;         ///< Sequence number of the record that began the connection.
  std::uint64_t in_after;      ///< Request bytes consumed once it has happened.
  std::uint64_t out_after;     ///< Answer bytes published once it has happened.
  std::uint64_t logged_after;  ///< Of these, bytes that the log reproduces.
  std::uint32_t in_count;      ///< Request bytes that it consumes.
  std::uint32_t out_count;     ///< Answer bytes that it publishes: 0 to 1024.
  std::uint32_t logged_count;  ///< Of these, bytes that the log reproduces.
  std::uint16_t domid;
  std::uint16_t reserved;
  std::uint64_t check;  ///< Over the 56 bytes before it.
};
static_assert(sizeof(Intent) == 64);

/// Head of a record in the log; padded payload follows. `sequence` is stored last.
struct RecordHead {
  std::uint64_t sequence;
  std::uint64_t check;   ///< Over sequence (in the seed), the 16 bytes that follow, the payload.
  std::uint64_t now_ms;  ///< The machine's clock when the event was executed.
  std::uint32_t length;  ///< Bytes of payload, without padding.
  std::uint16_t domid;
  std::uint8_t kind;    ///< Event::Kind.
  std::uint8_t deltas;  ///< Settlements at the payload's start.
};
static_assert(sizeof(RecordHead) == 32);
/// From here to the payload's end a record is covered by its check.
inline constexpr std::size_t kCheckedOffset = 16;
static_assert(offsetof(RecordHead, now_ms) == kCheckedOffset);

/// Head of a checkpoint; ledger and migration stream follow.
struct Checkpoint {
  std::uint64_t serial;        ///< 1, 2, 3 ...; area = serial % 2. 0: none.
  std::uint64_t sequence;      ///< The last record it includes.
  std::uint64_t position;      ///< Log position behind that record.
  std::uint64_t ledger_bytes;  ///< Body: first the ledger ...
  std::uint64_t stream_bytes;  ///< ... then the migration stream.
  std::uint64_t body_check;
  std::uint64_t reserved;
  std::uint64_t check;  ///< Over the 56 bytes before it; stored last.
};
static_assert(sizeof(Checkpoint) == 64);

inline constexpr std::size_t kMembershipOffset = 64;
inline constexpr std::size_t kAppendedOffset = 72;
inline constexpr std::size_t kReleasedOffset = 128;
inline constexpr std::size_t kAppliedOffset = 136;
inline constexpr std::size_t kDigestsOffset = 192;
inline constexpr std::size_t kDigests = 64;
inline constexpr std::size_t kIntentsOffset = 4096;
static_assert(kDigestsOffset + kDigests * sizeof(Digest) <= kIntentsOffset);

/// Every record starts at a multiple of this, so its head never wraps.
inline constexpr std::size_t kRecordAlignment = 32;

/// Of the half of a slot that the intent's serial selects.
constexpr std::size_t intent_offset(std::uint32_t slot, std::uint64_t serial) {
  return kIntentsOffset + (std::size_t{slot} * 2 + serial % 2) * sizeof(Intent);
}
constexpr std::size_t log_offset(const Geometry& g) {
  return kIntentsOffset + std::size_t{g.slots} * 2 * sizeof(Intent);
}
constexpr std::size_t checkpoint_offset(const Geometry& g, std::uint64_t serial) {
  return log_offset(g) + g.log_bytes + (serial % 2) * g.checkpoint_bytes;
}
constexpr std::size_t region_bytes(const Geometry& g) {
  return log_offset(g) + g.log_bytes + 2 * g.checkpoint_bytes;
}

/// True for sizes that this code can work with; asked before a geometry read from memory is used.
constexpr bool valid(const Geometry& g) {
  const bool log = g.log_bytes >= (64u << 10) && g.log_bytes <= (1u << 30) &&
                   (g.log_bytes & (g.log_bytes - 1)) == 0;
  const bool area = g.checkpoint_bytes >= 4096 && g.checkpoint_bytes <= (1u << 30) &&
                    g.checkpoint_bytes % 4096 == 0;
  return log && area && g.slots >= 32 && g.slots <= 32768 && g.slots % 32 == 0;
}

}  // namespace ppvmm::replication

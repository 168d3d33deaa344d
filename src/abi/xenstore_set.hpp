/// What root and the three XenStore_uk domains say to each other: command line, commands, notices.
///
/// One image, two roles. Command line of a backup: `role=backup primary=<domid>`, of the primary:
/// `role=primary backups=<domid>,<domid>` and dom0's connection (src/uk/xenstore/main.cpp). A
/// backup grants its region to the primary page by page, with references from kRegionGrants on; so
/// the primary needs to know no more than the backup's id, and a backup that is built anew offers
/// the same references. Protocol between the domains: docs/replication.md.
#pragma once

#include <cstdint>

namespace ppvmm::abi::xenstore_set {

/// First grant reference of a region; those below are Xen's (GNTTAB_NR_RESERVED_ENTRIES).
inline constexpr std::uint32_t kRegionGrants = 8;

/// Commands of root's. `subject`: index of the backup, 0 or 1.
enum class Command : std::uint32_t {
  none = 0,
  /// The backup's memory is about to go: let go of all of it. Its domain can end once this is done.
  detach = 1,
  /// The backup is there, with new memory: map it, fill it, make it a member.
  attach = 2,
  /// Verify every node and every log now; what is wrong ends this life (FaultKind::corruption).
  scrub = 3,
};

/// Results of a command.
enum class Result : std::uint32_t {
  done = 0,
  unknown = 1,  ///< No such command, or one for the other role.
  no_such_backup = 2,
  not_granted = 3,  ///< The backup's pages cannot be mapped (yet).
};

/// Notices. Primary, unless said otherwise. `subject`: index of a backup where it is about one.
enum class Notice : std::uint32_t {
  none = 0,
  recovered = 1,  ///< State found; `value`: records replayed. `subject`: the source.
  serving = 2,    ///< First request answered in this life; `value`: ns since its entry.
  backup_joined = 3,
  backup_stuck = 4,    ///< Dropped: it did not release log in time. Rebuild it.
  backup_damaged = 5,  ///< Dropped: its memory is not what was written. Rebuild it.
  backup_lost = 6,
  refill_failed = 7,      ///< `value`: replication::CheckpointError.
  alone = 8,              ///< No backup is left.
  connection_failed = 9,  ///< `subject`: the domain whose ring could not be continued.
  odd_one_out = 10,  ///< A vote named a wrong replica. `subject`: 0 the primary, 1 and 2 backups.
  no_majority = 11,  ///< Digests differ and nobody knows who is wrong.
  stale_state = 12,  ///< No complete region was left: acknowledged changes may be lost.
  all_lost = 13,     ///< Nothing to recover from. The store stops.
  region_unusable = 14,  ///< At a rebirth. `value`: replication::Standing.
  following = 15,        ///< Backup: filled, and follows from now on.
  backup_wrong = 16,     ///< Backup: its log or state is damaged; it waits to be filled anew.
  rotted = 17,           ///< Backup: scrubbing found and mended something in its region.
};

}  // namespace ppvmm::abi::xenstore_set

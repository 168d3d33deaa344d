/// A backup: follows the log in its own memory, and writes checkpoints there. It never speaks to
/// the primary and nobody waits for it, except for room in a full log.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "replication/checkpoint.hpp"
#include "replication/log.hpp"
#include "replication/replica.hpp"

namespace ppvmm::replication {

/// What a backup's step found.
enum class BackupState : std::uint8_t {
  following,   ///< Fine; there may be more to apply when the whole budget was used.
  left,        ///< The primary refills or dropped this region: begin again with open().
  damaged,     ///< The log, or the memory that holds it, is not what was written.
  misapplied,  ///< A record did not fit this replica's state, which is therefore wrong.
  corrupt,     ///< A node of the tree is not what was stored: begin again with open().
};

/// When a checkpoint is worth its cost. A rebirth replays the records behind the newest one, and
/// the log can be reused only up to there; but while there is much to follow, a checkpoint takes
/// the processor from those who make the records.
struct CheckpointPolicy {
  std::uint64_t min_records{96};  ///< Never more often than this ...
  /// A tree of n nodes: every n / nodes_per_record records. To execute a record costs about six
  /// times what a node costs in a checkpoint; and what a host's outage is made of is the replay.
  std::uint64_t nodes_per_record{4};
  std::uint64_t idle_min_records{8};  ///< ... but for the moments of rest; see Backup::rest().
  std::uint64_t idle_nodes_per_record{64};
};

class Backup {
 public:
  struct Progress {
    BackupState state{};
    std::uint64_t applied{};  ///< Records applied in this step.
    /// Outcome of the checkpoint, if one was due; attach_pending is retried and not reported.
    std::optional<std::expected<std::uint64_t, CheckpointError>> checkpoint;
  };

  /// A backup over its region, if the primary has filled it: state of the newest checkpoint. Also
  /// how a backup is reborn in place: all it knew is in its region.
  static std::expected<Backup, CheckpointError> open(Region region, const store::Options& options,
                                                     const CheckpointPolicy& policy);

  /// Applies up to `budget` records, then writes a checkpoint if one is due.
  Progress step(std::uint64_t budget);

  /// For the first moment in which there is nothing to follow: writes a checkpoint that is not due
  /// yet, if that is cheap for what it saves, so that a rebirth finds little to replay.
  void rest();

  /// Looks whether identity, newest checkpoint and the log behind it are still what was written,
  /// and writes anew what is needed if not. For idle times: what nobody reads may rot unseen, and a
  /// rebirth will read these. Reads about `bytes` of both and goes on there the next time. False if
  /// something had rotted.
  bool scrub(std::uint64_t bytes);
  /// Verifies the next `nodes` nodes of the tree. False: corrupt, as step() would say.
  bool scrub_tree(std::size_t nodes) { return replica_.machine().scrub(nodes); }

  [[nodiscard]] const Replica& replica() const { return replica_; }
  [[nodiscard]] const LogTail& tail() const { return tail_; }
  /// Log lines of the machine, as the primary's machine gave them too.
  [[nodiscard]] std::vector<store::LogRecord> take_log() { return replica_.machine().take_log(); }

 private:
  Backup(Region region, Restored restored, const CheckpointPolicy& policy);
  [[nodiscard]] bool checkpoint_due() const;
  [[nodiscard]] bool checkpoint_intact(std::uint64_t bytes);
  [[nodiscard]] bool log_intact(std::uint64_t bytes);
  void publish_progress();
  std::expected<std::uint64_t, CheckpointError> checkpoint();

  Region region_;
  Replica replica_;
  LogTail tail_;
  LogTail checkpointed_;
  CheckpointPolicy policy_;
  std::vector<std::byte> record_;
  std::optional<BodyReader> reader_;  ///< How far scrub() is in the newest checkpoint ...
  LogTail scrubbed_{};                ///< ... and in the log behind it.
};

}  // namespace ppvmm::replication

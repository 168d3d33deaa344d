#include "replication/backup.hpp"

#include <algorithm>

namespace ppvmm::replication {

std::expected<Backup, CheckpointError> Backup::open(Region region, const store::Options& options,
                                                    const CheckpointPolicy& policy) {
  const auto membership = region.membership();
  if (!membership || membership->state != Membership::State::member) {
    return std::unexpected{CheckpointError::none};
  }
  auto restored = load_checkpoint(region, options);
  if (!restored) return std::unexpected{restored.error()};
  Backup backup{std::move(region), std::move(*restored), policy};
  backup.publish_progress();
  return backup;
}

Backup::Backup(Region region, Restored restored, const CheckpointPolicy& policy)
    : region_{std::move(region)},
      replica_{std::move(restored.replica)},
      tail_{restored.tail},
      checkpointed_{restored.tail},
      policy_{policy} {}

bool Backup::checkpoint_due() const {
  if (tail_.position - checkpointed_.position > region_.geometry().log_bytes / 2) return true;
  const std::uint64_t records = tail_.sequence - checkpointed_.sequence;
  const std::uint64_t nodes = replica_.machine().statistics().nodes;
  return records >= std::max(policy_.min_records, nodes / policy_.nodes_per_record);
}

void Backup::rest() {
  const std::uint64_t records = tail_.sequence - checkpointed_.sequence;
  const std::uint64_t nodes = replica_.machine().statistics().nodes;
  if (records < std::max(policy_.idle_min_records, nodes / policy_.idle_nodes_per_record)) return;
  static_cast<void>(checkpoint());
}

void Backup::publish_progress() {
  region_.set_digest(tail_.sequence, replica_.machine().tree_digest());
  region_.set_word(kAppliedOffset, tail_.sequence);
}

Backup::Progress Backup::step(std::uint64_t budget) {
  Progress progress;
  const auto membership = region_.membership();
  if (!membership || membership->state != Membership::State::member) {
    progress.state = membership ? BackupState::left : BackupState::damaged;
    return progress;
  }
  for (; progress.applied < budget; ++progress.applied) {
    const Found found = read(region_, tail_, record_);
    if (found == Found::nothing) break;
    if (found == Found::damaged) {
      progress.state = BackupState::damaged;
      return progress;
    }
    const auto decoded = decode(record_);
    const bool applied = decoded && replica_.apply(*decoded);
    if (replica_.machine().corruptions() != 0 || !applied) {
      progress.state = applied ? BackupState::corrupt : BackupState::misapplied;
      return progress;
    }
    // Only a primary answers: what the record made the machine want is not for us to do.
    static_cast<void>(replica_.take_effects());
    static_cast<void>(replica_.machine().take_ready());
    tail_ = after(tail_, record_.size());
    publish_progress();
  }
  if (checkpoint_due()) {
    const auto written = checkpoint();
    if (written || written.error() != CheckpointError::attach_pending) {
      progress.checkpoint = written;
    }
  }
  return progress;
}

std::expected<std::uint64_t, CheckpointError> Backup::checkpoint() {
  const auto head = write_checkpoint(region_, tail_, replica_);
  if (!head) return std::unexpected{head.error()};
  checkpointed_ = tail_;
  region_.set_word(kReleasedOffset, head->position);
  return head->sequence;
}

bool Backup::checkpoint_intact(std::uint64_t bytes) {
  const auto newest = newest_checkpoint(region_);
  if (!newest || newest->sequence != checkpointed_.sequence) return false;
  if (!reader_ || reader_->checkpoint().serial != newest->serial) reader_.emplace(region_, *newest);
  if (!reader_->step(region_, bytes)) return true;
  const bool intact = reader_->intact();
  reader_.reset();
  return intact;
}

bool Backup::log_intact(std::uint64_t bytes) {
  if (scrubbed_.sequence < checkpointed_.sequence || scrubbed_.sequence >= tail_.sequence) {
    scrubbed_ = checkpointed_;
  }
  const std::uint64_t begin = scrubbed_.position;
  while (scrubbed_.sequence < tail_.sequence && scrubbed_.position - begin < bytes) {
    if (read(region_, scrubbed_, record_) != Found::record) {
      scrubbed_ = checkpointed_;
      return false;
    }
    scrubbed_ = after(scrubbed_, record_.size());
  }
  return true;
}

bool Backup::scrub(std::uint64_t bytes) {
  const bool identity = region_.identity_intact();
  if (!identity) region_.write_identity();
  if (checkpoint_intact(bytes) && log_intact(bytes)) return identity;
  // Our own state has all that the damaged pieces held.
  static_cast<void>(checkpoint());
  return false;
}

}  // namespace ppvmm::replication

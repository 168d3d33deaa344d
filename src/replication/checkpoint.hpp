/// A replica's whole state, standing in its region: what a rebirth starts from. Two areas take
/// turns, so that one is whole at every instant.
///
/// Spec: docs/replication.md, "Checkpoints".
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "replication/log.hpp"
#include "replication/region.hpp"
#include "replication/replica.hpp"

namespace ppvmm::replication {

enum class CheckpointError : std::uint8_t {
  attach_pending,  ///< Not now: a domain is just being introduced. Ask again after its record.
  too_large,       ///< The state does not fit the area: the set was made too small.
  not_written,     ///< What was read back is not what was written: the memory is bad.
  none,            ///< There is no intact checkpoint.
  malformed,       ///< Intact, but not a state: written by another version of this code.
};

/// The newest intact checkpoint's head.
[[nodiscard]] std::optional<Checkpoint> newest_checkpoint(const Region& region);
/// Looks whether a checkpoint's body is as it was written, in as many steps as one likes.
class BodyReader {
 public:
  BodyReader(const Region& region, const Checkpoint& checkpoint);

  /// Reads about `bytes` more. True: the end is reached.
  bool step(const Region& region, std::uint64_t bytes);
  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  /// At the end: was it as the head says?
  [[nodiscard]] bool intact() const { return check_ == checkpoint_.body_check; }

 private:
  Checkpoint checkpoint_;
  std::uint64_t done_{};
  std::uint64_t check_;
};
/// Bytes of the body, if the head's fields are possible.
[[nodiscard]] std::optional<std::uint64_t> body_bytes(const Region& region,
                                                      const Checkpoint& checkpoint);

/// Writes the state at `tail` as the next checkpoint, reads it back, and returns its head. It does
/// not release any log. Takes long with a large tree: the machine's heartbeat is heard meanwhile.
[[nodiscard]] std::expected<Checkpoint, CheckpointError> write_checkpoint(Region& region,
                                                                          const LogTail& tail,
                                                                          const Replica& replica);
/// Publishes a head whose body is in place already.
void publish_checkpoint(Region& region, Checkpoint checkpoint);

struct Restored {
  Replica replica;
  LogTail tail;
};

/// The state of the newest intact checkpoint, or of the older one if the newest is damaged.
[[nodiscard]] std::expected<Restored, CheckpointError> load_checkpoint(
    const Region& region, const store::Options& options);

}  // namespace ppvmm::replication

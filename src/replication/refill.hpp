/// Fills a region that has nothing yet, while the primary serves: checkpoint and log are copied
/// from a member's region, piece by piece, until the copy has caught up. Nobody waits for it.
///
/// Spec: docs/replication.md, "Rebirth of a backup".
#pragma once

#include <cstdint>
#include <optional>

#include "replication/checkpoint.hpp"
#include "replication/log.hpp"

namespace ppvmm::replication {

class Refill {
 public:
  enum class Progress : std::uint8_t {
    working,    ///< Call again.
    caught_up,  ///< The region ends where the primary's log ends: join it now.
    restarted,  ///< The source moved on, or what was copied is not what was there: begun again.
    no_source,  ///< The source has no intact checkpoint: somebody must write down the state.
  };

  /// Copies about `bytes` bytes (of log more, if it grows faster than that) from `source`, a
  /// member, into `target`. `end`: the primary's tail.
  Progress step(const Region& source, Region& target, const LogTail& end, std::uint64_t bytes);

  /// Begins again, with whatever source comes next.
  void restart() { *this = Refill{}; }

 private:
  Progress copy_body(const Region& source, Region& target, std::uint64_t bytes);
  Progress check_body(const Region& source, Region& target, std::uint64_t bytes);
  Progress copy_log(const Region& source, Region& target, const LogTail& end, std::uint64_t bytes);
  Progress again() {
    restart();
    return Progress::restarted;
  }

  enum class Phase : std::uint8_t { begin, body, check, log };
  Phase phase_{Phase::begin};
  Checkpoint head_{};
  std::uint64_t copied_{};
  std::optional<BodyReader> reader_;  ///< Of the copy.
  LogTail at_;
  std::uint64_t seen_end_{};  ///< Where the primary's log ended at the last call; 0: no call yet.
};

}  // namespace ppvmm::replication

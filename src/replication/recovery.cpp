#include "replication/recovery.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "replication/event.hpp"

namespace ppvmm::replication {
namespace {

/// One region, looked at from outside.
struct Candidate {
  std::optional<Region> region;
  Standing standing{Standing::absent};
  std::uint32_t configuration{};
  LogTail end;        ///< The end of its intact log.
  bool was_filled{};  ///< It held a state at some time.
  bool short_log{};   ///< The log ends before the end that the region promises.
};

/// Walks the log from the newest intact checkpoint to its end, without executing anything.
void find_end(Candidate& candidate) {
  const auto head = newest_checkpoint(*candidate.region);
  if (!head) {
    candidate.standing = Standing::damaged;
    return;
  }
  candidate.end = {head->sequence, head->position};
  std::vector<std::byte> record;
  Found found = read(*candidate.region, candidate.end, record);
  for (; found == Found::record; found = read(*candidate.region, candidate.end, record)) {
    candidate.end = after(candidate.end, record.size());
  }
  candidate.short_log = found == Found::damaged;
}

Candidate inspect(const SharedMemory& memory) {
  Candidate candidate;
  if (memory.empty()) return candidate;
  candidate.standing = Standing::unreadable;
  auto region = Region::open(memory);
  if (!region) return candidate;
  candidate.region = std::move(*region);
  const auto membership = candidate.region->membership();
  if (!membership) {
    // Nobody knows whether it was a member: better than nothing, and no better than that.
    candidate.was_filled = true;
    candidate.standing = Standing::left_out;
    find_end(candidate);
    return candidate;
  }
  candidate.configuration = membership->configuration;
  if (membership->state == Membership::State::joining) {
    candidate.standing = Standing::joining;
    return candidate;
  }
  candidate.was_filled = true;
  candidate.standing =
      membership->state == Membership::State::member ? Standing::complete : Standing::left_out;
  find_end(candidate);
  return candidate;
}

/// Better candidates first: members of the newest configuration, whole logs, long logs.
bool better(const Candidate& a, const Candidate& b) {
  const auto rank = [](const Candidate& c) {
    if (c.standing == Standing::complete) return 2;
    return c.standing == Standing::left_out ? 1 : 0;
  };
  if (rank(a) != rank(b)) return rank(a) > rank(b);
  if (a.configuration != b.configuration) return a.configuration > b.configuration;
  return a.end.sequence > b.end.sequence;
}

/// What the regions' backups published for `sequence`, compared with our own digest.
void compare(const std::array<Candidate, kBackups>& candidates, std::uint64_t sequence,
             std::uint64_t digest, std::array<bool, kBackups>& disagrees) {
  for (std::size_t i = 0; i < kBackups; ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.standing != Standing::complete) continue;
    const auto theirs = candidate.region->digest(sequence);
    if (theirs && *theirs != digest) disagrees[i] = true;
  }
}

/// The primary appends to one region after the other, so members differ by one record at most.
constexpr std::size_t kKept = 4;
/// One more is read into, to find that there is nothing.
constexpr std::size_t kSlots = kKept + 1;

struct Replay {
  Restored state;
  std::uint64_t replayed{};
  /// The newest ones, at their number modulo kSlots, counted from 0.
  std::array<std::vector<std::byte>, kSlots> records;
  std::array<bool, kBackups> disagrees{};
};

/// What to do with a record that is intact and does not fit the state.
enum class Misfit : std::uint8_t { refuse, cut };

/// State from the candidate's checkpoint and log, up to the log's end.
std::optional<Replay> replay(const std::array<Candidate, kBackups>& candidates, std::size_t source,
                             const store::Options& options, Misfit misfit) {
  const Candidate& candidate = candidates[source];
  auto restored = load_checkpoint(*candidate.region, options);
  if (!restored) return std::nullopt;
  Replay result{.state = std::move(*restored), .replayed = 0, .records = {}, .disagrees = {}};
  auto& [replica, tail] = result.state;
  compare(candidates, tail.sequence, replica.machine().tree_digest(), result.disagrees);

  while (true) {
    auto& record = result.records[result.replayed % kSlots];
    if (read(*candidate.region, tail, record) != Found::record) break;
    const auto decoded = decode(record);
    if (!decoded || !replica.apply(*decoded)) {
      if (misfit == Misfit::cut) return result;
      return std::nullopt;
    }
    static_cast<void>(replica.take_effects());
    tail = after(tail, record.size());
    ++result.replayed;
    compare(candidates, tail.sequence, replica.machine().tree_digest(), result.disagrees);
  }
  if (tail.sequence < candidate.end.sequence) return std::nullopt;
  return result;
}

/// Appends what `candidate` lacks; false if it cannot be brought up to `end`.
bool catch_up(Candidate& candidate, const LogTail& end, const Replay& replay) {
  if (candidate.end.sequence > end.sequence) return false;
  const std::uint64_t missing = end.sequence - candidate.end.sequence;
  if (missing > std::min<std::uint64_t>(replay.replayed, kKept)) return false;
  for (std::uint64_t i = replay.replayed - missing; i < replay.replayed; ++i) {
    const auto& record = replay.records[i % kSlots];
    const auto room = has_room(*candidate.region, candidate.end, record.size());
    if (!room || !*room) return false;
    append(*candidate.region, candidate.end, record);
    candidate.end = after(candidate.end, record.size());
  }
  return candidate.end == end;
}

}  // namespace

std::expected<Recovery, RecoveryError> recover(const std::array<SharedMemory, kBackups>& memories,
                                               const store::Options& options) {
  std::array<Candidate, kBackups> candidates;
  std::array<std::size_t, kBackups> order{};
  std::uint32_t configuration = 0;
  bool was_filled = false;
  for (std::size_t i = 0; i < kBackups; ++i) {
    order[i] = i;
    candidates[i] = inspect(memories[i]);
    configuration = std::max(configuration, candidates[i].configuration);
    was_filled = was_filled || candidates[i].was_filled;
  }
  for (Candidate& candidate : candidates) {
    if (candidate.standing == Standing::complete && candidate.configuration != configuration) {
      candidate.standing = Standing::left_out;
    }
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return better(candidates[a], candidates[b]); });

  // A state that both backups contradict is wrong itself: the next candidate may do better. If
  // none does, a contradicted state is still better than none.
  std::optional<Replay> chosen;
  std::size_t source = 0;
  for (const std::size_t i : order) {
    if (candidates[i].standing != Standing::complete &&
        candidates[i].standing != Standing::left_out) {
      continue;
    }
    auto attempt = replay(candidates, i, options, Misfit::refuse);
    if (!attempt) {
      candidates[i].standing = Standing::damaged;
      continue;
    }
    const auto against = std::count(attempt->disagrees.begin(), attempt->disagrees.end(), true);
    const bool contradicted = against == static_cast<std::ptrdiff_t>(kBackups);
    if (chosen && contradicted) continue;
    chosen = std::move(attempt);
    source = i;
    if (!contradicted) break;
  }
  // No log can be executed to its end, although it is as it was written: whoever wrote it was
  // wrong. What came before the first record that does not fit is the best there is.
  const bool cut = !chosen;
  for (std::size_t at = 0; at < order.size() && !chosen; ++at) {
    if (candidates[order[at]].standing != Standing::damaged) continue;
    chosen = replay(candidates, order[at], options, Misfit::cut);
    source = order[at];
  }
  if (!chosen) {
    return std::unexpected{was_filled ? RecoveryError::all_lost : RecoveryError::nothing_there};
  }

  Recovery recovery{.state = std::move(chosen->state),
                    .set = ReplicaSet{configuration},
                    .standing = {},
                    .source = source,
                    .replayed = chosen->replayed,
                    .stale = cut || candidates[source].standing != Standing::complete ||
                             candidates[source].short_log};
  bool smaller = false;
  for (std::size_t i = 0; i < kBackups; ++i) {
    Candidate& candidate = candidates[i];
    if (candidate.standing == Standing::complete) {
      if (chosen->disagrees[i]) {
        candidate.standing = Standing::diverged;
      } else if (candidate.short_log || !catch_up(candidate, recovery.state.tail, *chosen)) {
        // A damaged record in the middle of the log cannot be mended by appending behind it.
        candidate.standing = Standing::damaged;
      } else {
        recovery.set.adopt(i, std::move(*candidate.region));
      }
    }
    recovery.standing[i] = candidate.standing;
    smaller = smaller || candidate.standing != Standing::complete;
  }
  if (smaller) recovery.set.raise_configuration();
  return recovery;
}

}  // namespace ppvmm::replication

/// The regions a primary writes to, and who of them counts. A region is a *member* when it has
/// every acknowledged record; only members are written to by append() and intend().
///
/// Spec: docs/replication.md, "The set".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "replication/log.hpp"
#include "replication/region.hpp"
#include "replication/sealed.hpp"
#include "replication/vote.hpp"

namespace ppvmm::replication {

/// What root has to know. `backup` is an index, except where said.
struct Report {
  enum class Kind : std::uint8_t {
    backup_stuck,       ///< Its full log was not released in time: dropped.
    backup_damaged,     ///< Its words or records are not what was written: dropped.
    backup_lost,        ///< Its memory was taken away: dropped.
    backup_joined,      ///< Filled, and a member from now on.
    refill_restarted,   ///< The source moved on or was damaged meanwhile.
    refill_failed,      ///< The state does not fit the region; `value`: CheckpointError.
    alone,              ///< No member is left: the next death of the primary loses state.
    connection_failed,  ///< `value`: domid whose ring could not be continued.
  };
  Kind kind{};
  std::size_t backup{};
  std::uint64_t value{};
};

class ReplicaSet {
 public:
  /// What a fresh host starts with: no regions.
  explicit ReplicaSet(std::uint32_t configuration = 0) : configuration_{configuration} {}

  [[nodiscard]] std::uint32_t configuration() const { return configuration_; }
  [[nodiscard]] std::size_t members() const;
  [[nodiscard]] bool is_member(std::size_t backup) const { return links_[backup].member; }
  [[nodiscard]] Region* region(std::size_t backup);
  [[nodiscard]] const Region* region(std::size_t backup) const;

  /// A region that recovery found to be complete.
  void adopt(std::size_t backup, Region region);
  /// A region that is to be filled.
  void add(std::size_t backup, Region region);
  /// It is filled: from now on it is written to. `tail`: the end of its log.
  void join(std::size_t backup);
  /// Leaves it out, after all others know: the set's number is raised on them first.
  void drop(std::size_t backup, Report::Kind why);
  /// The memory is gone or about to go.
  void remove(std::size_t backup);
  /// Raises the set's number on all members. Done whenever the set shrinks or grows, so that a
  /// region that was not there can be told from those that were.
  void raise_configuration();

  /// Whether all members can take a record of `size` bytes; if not, the index of one that cannot.
  /// A member whose words are damaged is dropped here.
  [[nodiscard]] std::optional<std::size_t> blocked(const LogTail& tail, std::uint64_t size);
  void append(const LogTail& tail, std::span<const std::byte> record);
  void intend(std::uint32_t slot, const Intent& intent);

  [[nodiscard]] std::vector<Report> take_reports();
  void report(const Report& report) { reports_.push_back(report); }

 private:
  struct Link {
    std::optional<Region> region;
    bool member{};
    SealedReader released{};  ///< Of the region's word.
  };

  /// Calls `store(region, what)` for each member, where `what` is `make(key)`: made once, as all
  /// regions of a set have one key.
  template <class Make, class Store>
  void for_members(Make make, Store store);

  std::array<Link, kBackups> links_;
  std::uint32_t configuration_;
  std::vector<Report> reports_;
};

}  // namespace ppvmm::replication

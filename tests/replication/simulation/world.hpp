/// A host in one process: three domains that serve the store, the guests that use it, and a root
/// that puts back what dies. Everything happens in one thread, in an order that a seed decides.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../memory.hpp"
#include "guest.hpp"
#include "history.hpp"
#include "journal.hpp"
#include "replication/backup.hpp"
#include "replication/primary.hpp"
#include "replication/recovery.hpp"

namespace ppvmm::simulation {

using replication::kBackups;

/// What a death leaves of a backup.
enum class Loss : std::uint8_t {
  state,   ///< It is reborn in place: its region's memory is what it was.
  memory,  ///< It is built again: everything in it is gone.
};

struct Setup {
  replication::Geometry geometry{test::kSmall};
  replication::CheckpointPolicy checkpoints{.min_records = 16, .nodes_per_record = 1};
  std::uint64_t stuck_after_ms{50};
  /// Rounds between a death and the rebirth, at most.
  std::size_t downtime{4};
  bool second_backup{true};
};

class World {
 public:
  World(std::uint64_t seed, const Setup& setup);

  /// Domain 0 is there from the start; others wait for their INTRODUCE.
  Guest& add_guest(DomId domid, std::vector<Action> script);
  [[nodiscard]] Guest* guest(DomId domid);

  /// The steps at which the primary, or a backup, dies.
  std::deque<std::uint64_t>& primary_deaths() { return primary_journal_.deaths; }
  std::deque<std::uint64_t>& backup_deaths(std::size_t backup) {
    return backups_[backup].journal.deaths;
  }
  /// Print what happens to the three domains.
  bool trace{};
  /// What deaths at steps leave of a backup.
  Loss loss{Loss::state};

  [[nodiscard]] std::uint64_t primary_steps() const { return primary_journal_.steps(); }
  [[nodiscard]] std::uint64_t backup_steps(std::size_t i) const {
    return backups_[i].journal.steps();
  }
  [[nodiscard]] std::uint64_t steps() const;

  // --- Faults at the present moment
  void kill_primary();
  void kill_backup(std::size_t backup, Loss what);
  /// The backup does nothing for so many rounds.
  void stall_backup(std::size_t backup, std::size_t rounds);
  /// One bit of a backup's region.
  void flip(std::size_t backup, std::size_t offset, unsigned bit);
  void kill_guest(DomId domid);
  /// Whether the primary and `backup`'s region both have the whole state now, so that anything may
  /// happen to the other region. Looks without touching.
  [[nodiscard]] bool safe_without(std::size_t other);
  /// Nothing of the domain is left, so that its number can be used again.
  [[nodiscard]] bool forgotten(DomId domid);

  /// One round: everybody has a turn. Deterministic in seed and faults.
  void round();
  /// Rounds until all guests are done and all is calm, then the final examination. False, with a
  /// complaint, if that takes more than `limit` rounds or anything is wrong.
  bool finish(std::size_t limit = 20'000);

  [[nodiscard]] Complaints& complaints() { return complaints_; }
  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] bool serving() const { return primary_.has_value(); }
  [[nodiscard]] bool calm();

  // --- What happened, for the tests' own expectations
  std::uint64_t service_began{};  ///< The primary's steps when the first life began to serve.
  std::uint64_t rebirths{};
  std::uint64_t replayed{};
  std::uint64_t refills{};
  std::uint64_t restarted_refills{};
  std::uint64_t dropped_backups{};
  std::uint64_t alone{};
  std::uint64_t rotten_checkpoints{};
  std::uint64_t damaged_backups{};
  /// More failed at one time than the protocol promises to survive (two regions damaged at once),
  /// and the state was lost, loudly. Such a run says nothing.
  bool beyond_promise{};
  [[nodiscard]] std::uint64_t answers() const;

 private:
  struct BackupHost {
    explicit BackupHost(const replication::Geometry& geometry)
        : memory{test::region_memory(geometry)} {}

    test::Memory memory;
    Journal journal;
    std::optional<replication::Backup> backup;
    bool running{true};
    std::size_t back_in{};  ///< Rounds until it is reborn, if not running.
    std::size_t stalled{};  ///< Rounds it does nothing.
  };

  void note(const std::string& what) const;
  [[nodiscard]] replication::SharedMemory ring(DomId domid);
  void turn_of_guests();
  void turn_of_primary();
  void turn_of_backup(std::size_t i);
  void open_backup(std::size_t i, bool& damaged);
  void birth();
  bool operate(const std::function<void()>& operation);
  void primary_died();
  void carry_out(const store::Effect& effect);
  void tell_facts();
  void listen_to_reports();
  void rebuild_backup(std::size_t i);
  void end_damaged(std::size_t i);
  void lost(const std::string& what);
  void examine();
  void examine_nodes();
  void examine_regions();

  Setup setup_;
  Random random_;
  Moment now_{1};
  History history_;
  Complaints complaints_;
  std::map<std::string, std::uint64_t> increments_;
  std::uint64_t unanswered_increments_{};  ///< Of guests that died: done or not, nobody knows.
  std::map<DomId, std::unique_ptr<Guest>> guests_;
  std::vector<std::unique_ptr<Guest>> dead_guests_;  ///< Their pages stay mapped for a while.
  std::array<BackupHost, kBackups> backups_;
  Journal primary_journal_;
  std::optional<replication::Primary> primary_;
  bool ever_born_{};
  bool last_copy_at_risk_{};
  std::size_t back_in_{};
  std::deque<store::Effect> effects_;
  std::deque<DomId> deaths_;
};

}  // namespace ppvmm::simulation

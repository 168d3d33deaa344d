/// Typed access to one region (layout.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "replication/layout.hpp"
#include "replication/shared_memory.hpp"

namespace ppvmm::replication {

/// Why a region cannot be used.
enum class RegionError : std::uint8_t {
  not_a_region,  ///< Magic or check is wrong: never formatted, or overwritten.
  bad_version,   ///< A layout this code does not know.
  bad_geometry,  ///< Sizes that cannot be, or that do not fit the memory.
  damaged,       ///< A sealed word or a log record is not what was written.
};

/// What the region is to the set of replicas.
struct Membership {
  enum class State : std::uint8_t {
    joining = 1,  ///< Being filled: its content means nothing yet.
    member = 2,   ///< Has every acknowledged record.
    dropped = 3,  ///< Was left out at some moment: its content is old.
  };
  /// Counts changes of the set. Of two regions only the one with the higher number was there when
  /// the other was left out.
  std::uint32_t configuration{};
  State state{State::joining};

  bool operator==(const Membership&) const = default;
};

/// An intent as it lies in regions of one key, check included. Whole words, as it is read again at
/// once: a load of a word of which parts were just stored waits until everything stored before is
/// in the cache, the log's lines too (30 ns of 600 for a write).
using IntentWords = std::array<std::uint64_t, sizeof(Intent) / sizeof(std::uint64_t)>;
[[nodiscard]] IntentWords words_of(const Intent& intent, std::uint64_t key);

class Region {
 public:
  /// Writes an identity into `memory` and clears what a stale life could have left: membership,
  /// intents, checkpoints. The set's key must be secret and random.
  static std::expected<Region, RegionError> format(SharedMemory memory, const Geometry& geometry,
                                                   std::uint64_t key);
  /// A region that was formatted before.
  static std::expected<Region, RegionError> open(SharedMemory memory);

  /// Whether the identity in the memory is still this region's.
  [[nodiscard]] bool identity_intact() const;
  /// Writes it again, for a backup that finds it damaged in its own memory.
  void write_identity();

  [[nodiscard]] const Geometry& geometry() const { return geometry_; }
  [[nodiscard]] std::uint64_t key() const { return key_; }
  [[nodiscard]] SharedMemory& memory() { return memory_; }
  [[nodiscard]] const SharedMemory& memory() const { return memory_; }

  /// Nothing if the word was damaged.
  [[nodiscard]] std::optional<Membership> membership() const;
  void set_membership(Membership membership);

  /// A sealed word at `offset`; nothing if it was damaged.
  [[nodiscard]] std::optional<std::uint64_t> word(std::size_t offset) const;
  void set_word(std::size_t offset, std::uint64_t value);

  /// The intent in a slot, if it is intact.
  [[nodiscard]] std::optional<Intent> intent(std::uint32_t slot, std::uint64_t serial) const;
  /// Computes the check and writes the intent into the half of the slot that its serial selects.
  void set_intent(std::uint32_t slot, const Intent& intent) {
    put_intent(slot, words_of(intent, key_));
  }
  /// The same for an intent that has its check already.
  void put_intent(std::uint32_t slot, const IntentWords& intent) {
    memory_.write(intent_offset(slot, intent[0]), intent);
  }

  /// The digest that the backup published for `sequence`, if it is still there.
  [[nodiscard]] std::optional<std::uint64_t> digest(std::uint64_t sequence) const;
  void set_digest(std::uint64_t sequence, std::uint64_t digest);

 private:
  Region(SharedMemory memory, const Geometry& geometry, std::uint64_t key)
      : memory_{memory}, geometry_{geometry}, key_{key} {}

  SharedMemory memory_;
  Geometry geometry_;
  std::uint64_t key_;
};

}  // namespace ppvmm::replication

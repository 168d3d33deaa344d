/// A machine, its ledger, and the sequence number they stand at: what all three domains hold. There
/// is one function that executes an event, for the primary, the backups and a rebirth alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "replication/event.hpp"
#include "replication/ledger.hpp"
#include "store/machine.hpp"

namespace ppvmm::replication {

/// Why a record could not be applied: this replica is not what the record was written for.
enum class ApplyError : std::uint8_t {
  wrong_sequence,  ///< Not the next record.
  malformed,       ///< Its fields contradict each other.
  no_connection,   ///< It speaks of a connection that this replica does not have.
  refused,         ///< The machine did not take bytes that the primary's machine took.
};

class Replica {
 public:
  Replica(store::Machine machine, Ledger ledger, std::uint64_t sequence)
      : machine_{std::move(machine)}, ledger_{std::move(ledger)}, sequence_{sequence} {}

  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  [[nodiscard]] store::Machine& machine() { return machine_; }
  [[nodiscard]] const store::Machine& machine() const { return machine_; }
  [[nodiscard]] Ledger& ledger() { return ledger_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

  /// Executes the event as record number sequence() + 1. For an input event the result is the
  /// number of bytes that the machine took; 0, and no new sequence number, if it took none. Other
  /// events give 0.
  std::expected<std::size_t, ApplyError> execute(const Event& event);

  /// The machine has executed this input already, as a read that needed no record, and now it gets
  /// one after all: counts it as record number sequence() + 1.
  void executed_unlogged(const Event& event);

  /// A record from the log: settlements first, then the event, all of it.
  std::expected<void, ApplyError> apply(const Decoded& record);

  /// Answer bytes reached the ring.
  std::expected<void, ApplyError> settle(const Settlement& settlement);

  /// The machine's effects since the last call, in order. Only a primary carries them out.
  [[nodiscard]] std::vector<store::Effect> take_effects();

 private:
  [[nodiscard]] bool seat_free(DomId domid) {
    return ledger_.find(domid) == nullptr && !ledger_.full();
  }
  void note_effects(std::uint64_t sequence);

  store::Machine machine_;
  Ledger ledger_;
  std::uint64_t sequence_;
  std::vector<store::Effect> effects_;
};

}  // namespace ppvmm::replication

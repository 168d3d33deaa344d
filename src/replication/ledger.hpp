/// What a replica knows about the domains' rings: where each connection's two byte streams begin
/// and how far they are. It is state like the tree: equal on all replicas at equal sequence
/// numbers, and part of every checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "replication/event.hpp"

namespace ppvmm::replication {

/// One attached ring. The stream offsets count bytes since `epoch`.
struct Seat {
  DomId domid{};
  std::uint32_t slot{};     ///< Its pair of intents in every region.
  std::uint64_t epoch{};    ///< Sequence number of the record that began the connection.
  Event::Ring ring;         ///< For mapping it again after a rebirth, and the streams' bases.
  std::uint64_t in{};       ///< Request bytes known to be consumed.
  std::uint64_t settled{};  ///< Logged answer bytes known to have reached the ring.
  /// Bytes still missing of a request that is larger than the ring and was taken in part.
  std::uint32_t missing{};

  /// Input was taken: moves `in`, and keeps track of where requests end.
  void took(std::uint64_t before, std::span<const std::byte> bytes);
};

/// An attach_domain effect whose outcome is not in the log yet. The machine awaits one report for
/// each, in order, even if the domain went meanwhile; so a reborn primary asks for all of them
/// again.
struct PendingAttach {
  DomId domid{};
  std::uint64_t gfn{};
  std::uint32_t port{};
};

class Ledger {
 public:
  explicit Ledger(std::uint32_t slots) : slots_{slots} {}

  /// Ascending by domid.
  [[nodiscard]] std::span<const Seat> seats() const { return seats_; }
  [[nodiscard]] Seat* find(DomId domid);
  [[nodiscard]] bool full() const { return seats_.size() >= slots_; }
  /// Gives `domid` the lowest free slot, or nothing if there is none. It must not have a seat.
  Seat* add(DomId domid, std::uint64_t epoch, const Event::Ring& ring);
  void remove(DomId domid);

  [[nodiscard]] std::span<const PendingAttach> pending() const { return pending_; }
  void expect_attach(const PendingAttach& attach);
  /// Takes the oldest pending attachment of `domid` out.
  std::optional<PendingAttach> settle_attach(DomId domid);

  /// For checkpoints. Pending attachments are not in it: no checkpoint is made while there are any.
  void write(std::vector<std::byte>& out) const;
  /// Nothing if the bytes are not a ledger for `slots` slots.
  static std::optional<Ledger> read(std::span<const std::byte> bytes, std::uint32_t slots);

 private:
  std::uint32_t slots_;
  std::vector<Seat> seats_;
  std::vector<PendingAttach> pending_;
};

}  // namespace ppvmm::replication

/// After a rebirth: how far a connection's two streams really are, from the newest intents and from
/// one index of the guest's ring.
///
/// Spec: docs/replication.md, "Publication" and "Reconciliation".
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "replication/layout.hpp"
#include "replication/ledger.hpp"

namespace ppvmm::replication {

/// Where the streams of one connection stand, in bytes since its epoch.
struct Streams {
  std::uint64_t in{};      ///< Request bytes consumed.
  std::uint64_t out{};     ///< Answer bytes published.
  std::uint64_t logged{};  ///< Of these, bytes that the log reproduces.
  std::uint64_t serial{};  ///< The newest intent's.
};

/// The newest publication intended for this seat, of all intact intents found in its slot, in any
/// order, stale ones too. Nothing if none was ever intended in this epoch.
[[nodiscard]] std::optional<Intent> newest_intent(const Seat& seat,
                                                  std::span<const Intent> intents);

/// `seat`: as of the end of the log. `response_index`: rsp_prod as the ring has it. Nothing if the
/// index is neither what it was before the newest publication nor what it was after it: the ring
/// was overwritten.
[[nodiscard]] std::optional<Streams> reconcile(const Seat& seat,
                                               const std::optional<Intent>& newest,
                                               std::uint32_t response_index);

}  // namespace ppvmm::replication

/// One client: what it sent and did not finish, what waits for it, and what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "store/domain.hpp"
#include "store/output_queue.hpp"
#include "store/transaction.hpp"
#include "store/watch_table.hpp"

namespace ppvmm::store {

/// A request of an unprivileged client whose answer, or an event it caused, somebody has not read.
struct Ticket {
  std::uint32_t serial{};    ///< Tells this use of the slot from earlier ones.
  std::uint32_t messages{};  ///< Unread answer and events.
};

struct Connection {
  Connection(ConnId number, DomId speaks_for, Domain* ring)
      : id(number), domid(speaks_for), domain(ring) {}

  ConnId id{};
  DomId domid{};                   ///< The domain it speaks for: 0 for sockets.
  Domain* domain{};                ///< Null for sockets.
  std::optional<DomId> target;     ///< Whose rights it has beside its own (SET_TARGET).
  bool broken{};                   ///< Broke the protocol: ignored from now on.
  bool ready{};                    ///< Listed for take_ready().
  bool waiting{};                  ///< An INTRODUCE of it waits for the shell.
  bool stalled{};                  ///< Was refused input; to be told when it may go on.
  std::vector<std::byte> partial;  ///< The beginning of a message whose rest has not come.
  OutputQueue output;
  std::vector<Watch*> watches;                             ///< In order of registration.
  std::vector<std::unique_ptr<Transaction>> transactions;  ///< By age.
  std::uint32_t next_transaction_id{1};
  std::vector<Ticket> tickets;
  std::vector<std::uint32_t> free_tickets;
  std::uint32_t outstanding{};  ///< Tickets in use.

  [[nodiscard]] bool privileged() const { return domid == 0; }
  [[nodiscard]] bool socket() const { return domain == nullptr; }
  [[nodiscard]] Transaction* find_transaction(std::uint32_t transaction_id) const {
    for (const auto& transaction : transactions) {
      if (transaction->id == transaction_id) return transaction.get();
    }
    return nullptr;
  }
};

}  // namespace ppvmm::store

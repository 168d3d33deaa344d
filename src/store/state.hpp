/// The machine's inside: what is shared by the files that make it up (requests*.cpp, control.cpp,
/// machine.cpp) and by the migration stream, which writes and rebuilds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"
#include "store/domain.hpp"
#include "store/ledger.hpp"
#include "store/machine.hpp"
#include "store/node.hpp"
#include "store/permission.hpp"
#include "store/scrub.hpp"
#include "store/throttle.hpp"
#include "store/transaction.hpp"
#include "store/tree.hpp"
#include "store/watch_table.hpp"
#include "store/wire.hpp"

namespace ppvmm::store {

inline constexpr std::string_view kIntroduceDomain = "@introduceDomain";
inline constexpr std::string_view kReleaseDomain = "@releaseDomain";

/// A request under way.
struct Request {
  Connection& client;
  const MessageHeader& header;
  Payload payload;
  Transaction* transaction{};  ///< Null outside of one.
  Cause cause;                 ///< For the answer and the events.
};

/// How an operation went. A failed one has changed nothing, unless it says otherwise.
using Status = std::expected<void, Error>;

/// Bytes in use beside nodes and permission lists.
struct BufferMemory {
  std::int64_t output{};
  std::int64_t watches{};
  std::int64_t transactions{};
};

struct State {
  explicit State(Options initial);
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  // Members in the order of who refers to whom: the last goes first.
  Options options;  ///< options.quotas are the limits in force.
  Statistics counters;
  ScrubCursor scrub_cursor;
  PermissionTable permissions;
  NodeHeap heap{options.heartbeat};
  DomainTable domains;
  Ledger ledger{domains};
  Tree tree{heap, &ledger};     ///< The committed nodes.
  Tree nothing{heap, nullptr};  ///< Stays empty: what a doomed transaction sees.
  WatchTable watches;
  std::vector<std::unique_ptr<Connection>> connections;  ///< By id, ascending.
  Throttle throttle;
  BufferMemory buffers;
  Refusals refusals{};              ///< Of all domains, ever.
  std::uint64_t memory_refusals{};  ///< Of Options::memory_limit.
  std::uint64_t generation{1};      ///< Of the latest change.
  std::uint64_t now_ms{};
  std::uint32_t next_connection{1};
  std::uint32_t next_ticket_serial{1};
  std::uint32_t open_transactions{};  ///< On all connections.
  bool trace{};                       ///< Log every request (CONTROL log on).
  std::vector<ConnId> ready;
  std::vector<ConnId> ready_taken;
  std::vector<Effect> effects;
  std::vector<LogRecord> log_records;

  // --- Connections (connections.cpp)

  [[nodiscard]] Connection* find_connection(ConnId id) const;
  Connection& add_connection(DomId domid, Domain* domain);
  /// Frees all it holds and the connection itself.
  void remove_connection(Connection& connection);
  /// Drops watches, transactions, queued and half-received bytes.
  void empty_connection(Connection& connection);
  /// The same, but for its watches.
  void empty_streams(Connection& connection);
  /// Ignores the client from now on. Takes effect at once; what it holds goes after the event.
  void break_connection(Connection& connection, std::string_view why);
  void mark_ready(Connection& connection);
  /// Whether the connection may send another request now.
  [[nodiscard]] bool accepts_input(const Connection& connection) const;
  /// Offers input again to a connection that was refused it, if it may go on.
  void reconsider(Connection& connection);
  /// Runs what must wait until an event is done.
  void settle();

  // --- Output (output.cpp)

  /// Queues the answer and returns its payload of `size` bytes, to be filled.
  std::span<char> answer(const Request& request, std::size_t size);
  void answer(const Request& request, std::string_view payload);
  /// "OK".
  void acknowledge(const Request& request);
  void answer_error(const Request& request, Error error);
  void send_event(Connection& client, std::string_view path, std::string_view token, Cause cause);
  /// Tells all whose watches a change of `path` concerns and who may know: those who may read the
  /// node (now, or before its permissions changed) or its parent. Any list may be null.
  void fire(std::string_view path, Reach reach, const PermissionList* node,
            const PermissionList* parent, const PermissionList* before, Cause cause);
  void fire_special(std::string_view name);
  /// A message is out or dropped.
  void message_left(Connection& client, const OutputQueue::Message& message);
  [[nodiscard]] Cause take_ticket(Connection& client);
  void drop_ticket(Connection& client, std::uint32_t index);
  void bytes_sent(Connection& connection, std::size_t count);
  void expire_events(Connection& connection);

  // --- Limits and log (limits.cpp)

  void log(LogRecord::Level level, std::string text);
  /// The node at `path`, or one just below it, is not what was stored: counts and logs it.
  void note_corruption(std::string_view path);
  /// Counts and logs a refusal. `limit` is a member of Quotas.
  void refuse(const Connection& client, std::uint32_t Quotas::*limit, std::string_view operation);
  /// Whether the client's domain may take `bytes` more; a refusal is counted and logged.
  [[nodiscard]] bool may_grow(const Connection& client, std::int64_t bytes,
                              std::string_view operation);
  /// Whether the whole machine may grow; a refusal is counted and logged.
  [[nodiscard]] bool machine_may_grow(std::string_view operation);
  /// Snapshots pin old nodes: lets go of those that guests' transactions hold, which then cannot
  /// commit. False if there were none.
  bool doom_guest_transactions();
  /// Adds to what the client's domain uses; sockets belong to none.
  void charge(Connection& client, std::int64_t bytes);
  [[nodiscard]] std::int64_t memory_in_use() const;
  /// A write that may spoil others' transactions.
  void charge_write(const Request& request);

  // --- Watches (requests_watch.cpp)

  Watch& add_watch(Connection& client, std::string_view path, std::string_view token,
                   bool relative);
  void remove_all_watches(Connection& client);

  // --- Transactions (requests_transaction.cpp)

  Transaction& begin_transaction(Connection& client, std::uint32_t id);
  void end_transaction(Connection& client, const Transaction& transaction);
  void end_all_transactions(Connection& client);

  // --- Domains (domains.cpp)

  /// The domain's ring is mapped: gives it a connection.
  Connection& attach(Domain& domain);
  /// Ends the domain's connection and tells the shell to let go of its ring.
  void detach(Domain& domain);
  /// The domain is gone or released: connection, nodes, rights and counts go, @releaseDomain fires.
  void forget_domain(DomId domid);
  void introduced(DomId domid, IntroduceResult result);
  /// Removes a committed node with all below, and tells of each.
  void remove_subtree(std::string_view path, Cause cause);

  // --- Requests (requests.cpp)

  std::size_t receive(Connection& client, std::span<const std::byte> bytes);
  void process(Connection& client, std::span<const std::byte> message);

 private:
  void answer_introduction(const PendingIntroduction& pending, bool attached);
  void remove_nodes_of(DomId domid);
  void remove_nodes_of(DomId domid, std::string_view below);
  /// What cannot be removed goes to domain 0: the root and the special nodes.
  void return_special_nodes(DomId domid);

  std::vector<Watch*> matches_;   // scratch of fire()
  std::vector<ConnId> to_empty_;  // broken during this event
};

}  // namespace ppvmm::store

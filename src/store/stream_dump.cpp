// Machine::dump(): the whole state as a migration stream (docs/xenstore-stream.md).
#include <algorithm>
#include <cstring>
#include <string>

#include "store/path.hpp"
#include "store/state.hpp"
#include "store/stream_difference.hpp"
#include "store/stream_records.hpp"

namespace ppvmm::store {
namespace {

using stream::OwnRecord;
using stream::RecordType;

class Dumper {
 public:
  explicit Dumper(const State& state) : state_{state} {}

  std::vector<std::byte> run() {
    globals();
    nodes();
    for (const auto& connection : state_.connections)
      dump_connection(*connection);
    for (const auto& domain : state_.domains.all())
      dump_domain(*domain);
    watches();
    for (const auto& connection : state_.connections) {
      for (const auto& transaction : connection->transactions)
        dump_transaction(*connection, *transaction);
    }
    return out_.end();
  }

 private:
  void begin(OwnRecord type) { out_.begin(static_cast<std::uint32_t>(type)); }

  void globals() {
    out_.begin(RecordType::global_data);
    out_.u32(stream::kNoDescriptor);
    out_.u32(stream::kNoDescriptor);
    out_.finish();

    out_.begin(RecordType::global_quota_data);
    out_.u16(static_cast<std::uint16_t>(kQuotaNames.size()));
    out_.u16(0);
    for (const QuotaName& quota : kQuotaNames)
      out_.u32(state_.options.quotas.*quota.field);
    for (const QuotaName& quota : kQuotaNames)
      out_.terminated(quota.name);
    out_.finish();

    begin(OwnRecord::machine);
    out_.u64(state_.generation);
    out_.u64(state_.now_ms);
    out_.i64(state_.throttle.reserve());
    out_.u32(state_.next_connection);
    out_.u32(state_.next_ticket_serial);
    out_.u64(state_.trace ? 1 : 0);
    out_.u64(state_.memory_refusals);
    for (std::uint64_t Statistics::*counter : stream::kCounters)
      out_.u64(state_.counters.*counter);
    for (const std::uint64_t refusals : state_.refusals)
      out_.u64(refusals);
    out_.finish();
  }

  void nodes() {
    out_.expect(state_.heap.bytes());  // a node's record is about as long as the node
    std::vector<std::uint64_t> generations;
    generations.reserve(2 * state_.ledger.nodes());
    const Node& anchor = *state_.tree.anchor();
    walk(
        anchor, anchor, std::string(),
        [&](const Visit& visit) {
          if (visit.path.empty()) return true;
          state_.heap.pulse().step();
          committed_node(visit.path, visit.node);
          generations.push_back(visit.node.value_generation);
          generations.push_back(visit.node.children_generation);
          return true;
        },
        [](const Visit&) {});
    begin(OwnRecord::generations);
    out_.bytes(std::as_bytes(std::span{generations}));
    out_.finish();
  }

  /// NODE_DATA of a committed node: nearly all records are this one, so it is made in one piece.
  void committed_node(std::string_view path, const Node& node) {
    const auto permissions = permission_bytes(*node.permissions);
    const std::string_view value = node.value();
    const stream::NodeHead head{
        .connection = 0,
        .transaction = 0,
        .path_length = static_cast<std::uint16_t>(path.size() + 1),
        .value_length = static_cast<std::uint16_t>(value.size()),
        .accesses = 0,
        .permissions = static_cast<std::uint16_t>(permissions.size() / stream::kPermissionBytes)};
    const std::size_t length = sizeof head + permissions.size() + head.path_length + value.size();
    std::byte* to = out_.record(RecordType::node_data, length).data();
    const auto put = [&to](const void* from, std::size_t size) {
      if (size != 0) std::memcpy(to, from, size);
      to += size;
    };
    put(&head, sizeof head);
    put(permissions.data(), permissions.size());
    put(path.data(), path.size());
    ++to;  // the NUL is there
    put(value.data(), value.size());
  }

  /// As they lie in records of nodes. Valid until the next call.
  std::span<const std::byte> permission_bytes(const PermissionList& list) {
    if (&list == permission_list_) return permission_bytes_;
    permission_list_ = &list;
    permission_bytes_.clear();
    for (const Permission& entry : list.entries) {
      const auto letter = static_cast<std::byte>(stream::kAccessLetters[entry.access & 3U]);
      permission_bytes_.insert(permission_bytes_.end(), {letter, std::byte{}});
      const auto domid = std::as_bytes(std::span{&entry.domid, 1});
      permission_bytes_.insert(permission_bytes_.end(), domid.begin(), domid.end());
    }
    return permission_bytes_;
  }

  /// The tail that NODE_DATA and transaction_node share: count of permissions, permissions, path,
  /// value.
  void node_contents(std::string_view path, const Node& node) {
    const auto permissions = permission_bytes(*node.permissions);
    out_.u16(static_cast<std::uint16_t>(permissions.size() / stream::kPermissionBytes));
    out_.bytes(permissions);
    out_.terminated(path);
    out_.text(node.value());
  }

  void dump_connection(const Connection& connection) {
    const OutputQueue& output = connection.output;
    const auto id = static_cast<std::uint32_t>(connection.id);
    const auto unsent = output.bytes();
    out_.begin(RecordType::connection_data);
    out_.u32(id);
    out_.u16(static_cast<std::uint16_t>(connection.socket() ? stream::ConnectionType::socket
                                                            : stream::ConnectionType::ring));
    out_.u16(0);
    if (connection.socket()) {
      out_.u32(stream::kNoDescriptor);
      out_.u32(0);
    } else {
      out_.u16(connection.domid);
      out_.u16(connection.target.value_or(stream::kNoTarget));
      out_.u32(connection.domain->port);
    }
    const std::size_t partial =
        output.sent_of_first() == 0 ? 0 : output.messages().front().size - output.sent_of_first();
    out_.u16(static_cast<std::uint16_t>(connection.partial.size()));
    out_.u16(static_cast<std::uint16_t>(partial));
    out_.u32(static_cast<std::uint32_t>(unsent.size()));
    out_.bytes(connection.partial);
    out_.bytes(unsent);
    out_.finish();

    begin(OwnRecord::connection);
    out_.u32(id);
    out_.u32((connection.broken ? stream::kConnectionBroken : 0) |
             (connection.stalled ? stream::kConnectionStalled : 0));
    out_.u32(connection.next_transaction_id);
    out_.u32(static_cast<std::uint32_t>(output.sent_of_first()));
    out_.u32(static_cast<std::uint32_t>(connection.tickets.size()));
    out_.u32(static_cast<std::uint32_t>(connection.free_tickets.size()));
    out_.u32(static_cast<std::uint32_t>(std::ranges::count_if(output.messages(), is_real)));
    out_.u32(0);
    for (const Ticket& ticket : connection.tickets)
      out_.u32(ticket.serial);
    for (const std::uint32_t index : connection.free_tickets)
      out_.u32(index);
    for (const OutputQueue::Message& message : output.messages()) {
      if (!is_real(message)) continue;
      out_.u64(message.deadline_ms);
      out_.u32(static_cast<std::uint32_t>(message.cause.requester));
      out_.u32(message.cause.ticket);
      out_.u32(message.cause.serial);
    }
    out_.finish();
  }

  static bool is_real(const OutputQueue::Message& message) { return message.size > 0; }

  void dump_domain(const Domain& domain) {
    begin(OwnRecord::domain);
    out_.u16(domain.domid);
    out_.u16(
        static_cast<std::uint16_t>((domain.shut_down ? stream::kDomainShutDown : 0) |
                                   (domain.memory_warned ? stream::kDomainMemoryWarned : 0) |
                                   (domain.throttle_logged ? stream::kDomainThrottleLogged : 0) |
                                   (domain.reintroduction ? stream::kDomainReintroduction : 0)));
    out_.u32(domain.port);
    out_.u64(domain.gfn);
    out_.i64(domain.write_credit);
    out_.u64(domain.credit_updated_ms);
    for (const std::uint64_t refusals : domain.refusals)
      out_.u64(refusals);
    for (const PendingIntroduction& pending : domain.introductions) {
      out_.u32(static_cast<std::uint32_t>(pending.client));
      out_.u32(pending.request_id);
      out_.u32(pending.transaction_id);
    }
    out_.finish();
  }

  void watches() {
    // In the order in which they were registered, over all connections: events go out in it.
    std::vector<const Watch*> all;
    for (const auto& connection : state_.connections)
      all.insert(all.end(), connection->watches.begin(), connection->watches.end());
    std::ranges::sort(all, {}, &Watch::sequence);
    for (const Watch* watch : all) {
      const std::string_view path = watch->shown(watch->path());
      out_.begin(RecordType::watch_data);
      out_.u32(static_cast<std::uint32_t>(watch->connection->id));
      out_.u16(static_cast<std::uint16_t>(path.size() + 1));
      out_.u16(static_cast<std::uint16_t>(watch->token.size() + 1));
      out_.terminated(path);
      out_.terminated(watch->token);
      out_.finish();
    }
  }

  void dump_transaction(const Connection& connection, const Transaction& transaction) {
    out_.begin(RecordType::transaction_data);
    name(connection, transaction);
    out_.finish();

    begin(OwnRecord::transaction);
    name(connection, transaction);
    out_.u32(transaction.doomed ? stream::kTransactionDoomed : 0);
    out_.u32(0);
    out_.i64(transaction.charge);
    out_.i64(transaction.records_charge);
    for (const auto& [domid, count] : transaction.owned) {
      out_.u64(domid);
      out_.i64(count);
    }
    out_.finish();
    if (transaction.doomed) return;  // it will answer EAGAIN and nothing else

    const auto dump_tree = [&](stream::Side side, const Node* before, const Node* after) {
      stream::difference(
          before, after,
          [&](const std::string& path) {
            begin(OwnRecord::transaction_node);
            name(connection, transaction);
            out_.u64(0);
            out_.u64(0);
            out_.u8(static_cast<std::uint8_t>(side));
            out_.u8(static_cast<std::uint8_t>(stream::Change::removed));
            out_.u16(static_cast<std::uint16_t>(path.size() + 1));
            out_.u32(0);  // no value, no permissions
            out_.terminated(path);
            out_.finish();
          },
          [&](const std::string& path, const Node& node) {
            begin(OwnRecord::transaction_node);
            name(connection, transaction);
            out_.u64(node.value_generation);
            out_.u64(node.children_generation);
            out_.u8(static_cast<std::uint8_t>(side));
            out_.u8(static_cast<std::uint8_t>(stream::Change::put));
            out_.u16(static_cast<std::uint16_t>(path.size() + 1));
            out_.u16(static_cast<std::uint16_t>(node.value_length));
            node_contents(path, node);
            out_.finish();
          });
    };
    dump_tree(stream::Side::base, state_.tree.anchor(), transaction.base.anchor());
    dump_tree(stream::Side::view, transaction.base.anchor(), transaction.view.anchor());
    for (const auto& record : transaction.records) {
      begin(OwnRecord::transaction_access);
      name(connection, transaction);
      out_.u16(record->flags);
      out_.u16(static_cast<std::uint16_t>(record->path.size() + 1));
      out_.terminated(record->path);
      out_.finish();
    }
  }

  void name(const Connection& connection, const Transaction& transaction) {
    out_.u32(static_cast<std::uint32_t>(connection.id));
    out_.u32(transaction.id);
  }

  const State& state_;
  stream::Writer out_;
  const PermissionList* permission_list_{};  ///< Whose bytes permission_bytes_ are.
  std::vector<std::byte> permission_bytes_;
};

}  // namespace

std::vector<std::byte> Machine::dump() const {
  return Dumper{*state_}.run();
}

}  // namespace ppvmm::store

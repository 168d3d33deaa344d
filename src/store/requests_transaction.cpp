// TRANSACTION_START and TRANSACTION_END.
#include <algorithm>

#include "store/requests.hpp"

namespace ppvmm::store {
namespace {

// Whether every owner stays within the quota of nodes if the transaction is merged now.
bool within_node_quota(const State& state, const Transaction& transaction) {
  for (const auto& [domid, change] : transaction.node_changes(state.tree)) {
    if (domid == 0 || change <= 0) continue;
    const Domain* domain = state.domains.find(domid);
    const std::int64_t owned = domain == nullptr ? 0 : domain->usage.nodes;
    if (owned + change > std::int64_t{state.options.quotas.nodes}) return false;
  }
  return true;
}

// Tells of what happened to one path. `base` is the tree before the transaction, for the rights
// that held on what is gone now.
void fire_events(State& state, const AccessRecord& record, const Node* base, Cause cause) {
  const bool subtree = (record.flags & Touch::fire_subtree) != 0;
  if (!subtree && (record.flags & Touch::fire_exact) == 0) return;
  const Lookup now = state.tree.find(record.path);
  // What came and went within the transaction was never there for others.
  if (now.node == nullptr && !record.original) return;
  const Lookup place = now.node != nullptr ? now : look_up(base, record.path);
  const PermissionList* parent = place.node != nullptr ? place.parent->permissions.get() : nullptr;
  state.fire(record.path, subtree ? Reach::subtree : Reach::exact,
             now.node != nullptr ? now.node->permissions.get() : nullptr, parent,
             record.original.get(), cause);
}

Status commit(State& state, const Request& request, const Transaction& transaction) {
  if (transaction.conflicts_with(state.tree)) {
    ++state.counters.transactions_conflicted;
    return std::unexpected(Error::again);
  }
  const bool changes =
      std::any_of(transaction.records.begin(), transaction.records.end(),
                  [](const auto& record) { return (record->flags & Touch::any_write) != 0; });
  if (changes) {
    if (!request.client.privileged() && !within_node_quota(state, transaction)) {
      state.refuse(request.client, &Quotas::nodes, "TRANSACTION_END");
      return std::unexpected(Error::nospc);
    }
    std::vector<AccessRecord> unseen;
    transaction.merge_into(state.tree, ++state.generation, unseen);
    state.charge_write(request);
    const Node* const base = transaction.base.anchor();
    for (const auto& record : transaction.records)
      fire_events(state, *record, base, request.cause);
    for (const AccessRecord& record : unseen)
      fire_events(state, record, base, request.cause);
  }
  ++state.counters.transactions_committed;
  return {};
}

}  // namespace

Transaction& State::begin_transaction(Connection& client, std::uint32_t id) {
  auto& transaction =
      client.transactions.emplace_back(std::make_unique<Transaction>(id, heap, tree));
  constexpr auto kBytes = static_cast<std::int64_t>(sizeof(Transaction));
  transaction->charge = transaction->records_charge = kBytes;
  charge(client, kBytes);
  buffers.transactions += kBytes;
  ++open_transactions;
  if (client.domain != nullptr) ++client.domain->usage.transactions;
  return *transaction;
}

void State::end_transaction(Connection& client, const Transaction& transaction) {
  charge(client, -transaction.charge);
  buffers.transactions -= transaction.records_charge;
  --open_transactions;
  if (client.domain != nullptr) --client.domain->usage.transactions;
  const auto at = std::find_if(client.transactions.begin(), client.transactions.end(),
                               [&](const auto& other) { return other.get() == &transaction; });
  client.transactions.erase(at);
}

void State::end_all_transactions(Connection& client) {
  while (!client.transactions.empty())
    end_transaction(client, *client.transactions.back());
}

Status do_transaction_start(State& state, const Request& request) {
  if (request.transaction != nullptr) return std::unexpected(Error::busy);
  Connection& client = request.client;
  if (!client.privileged() &&
      client.domain->usage.transactions >= state.options.quotas.transactions) {
    state.refuse(client, &Quotas::transactions, "TRANSACTION_START");
    return std::unexpected(Error::nospc);
  }
  if (!state.machine_may_grow("TRANSACTION_START")) return std::unexpected(Error::nospc);
  if (!state.may_grow(client, sizeof(Transaction), "TRANSACTION_START")) {
    return std::unexpected(Error::nomem);
  }
  // Ids go round; 0 means none, and one that is open is taken.
  while (client.next_transaction_id == 0 ||
         client.find_transaction(client.next_transaction_id) != nullptr) {
    ++client.next_transaction_id;
  }
  const Transaction& transaction = state.begin_transaction(client, client.next_transaction_id++);
  std::string answer = std::to_string(transaction.id);
  answer += '\0';
  state.answer(request, answer);
  return {};
}

Status do_transaction_end(State& state, const Request& request) {
  const auto how = request.payload.only_string();
  if (!how || (*how != "T" && *how != "F")) return std::unexpected(Error::inval);
  if (request.transaction == nullptr) return std::unexpected(Error::noent);
  const Transaction& transaction = *request.transaction;
  const Status status = *how == "T" ? commit(state, request, transaction) : Status{};
  state.end_transaction(request.client, transaction);
  if (!status) return status;
  state.acknowledge(request);
  return {};
}

}  // namespace ppvmm::store

/// What the requests of honest clients mean: the model is told in the order in which the server
/// took them, and says what the answers must be.
#include <algorithm>

#include "simulation/failure.hpp"
#include "simulation/world.hpp"
#include "store/path.hpp"

namespace ppvmm::simulation {
namespace {

using What = Request::What;

model::Answer done() {
  return {{}, std::string{"OK\0", 3}};
}
model::Answer fail(store::Error error) {
  return {error, {}};
}

bool writes(const model::Operation& operation) {
  using Kind = model::Operation::Kind;
  return operation.kind == Kind::write || operation.kind == Kind::mkdir ||
         operation.kind == Kind::remove || operation.kind == Kind::set_permissions;
}

}  // namespace

void World::execute(Client& client, const Request& request, const store::Statistics& before) {
  Expectation expectation{
      .what = request.what, .id = request.id, .sort_names = false, .answer = {}};
  switch (request.what) {
    case What::operation:
      expectation.answer = execute_operation(client, request);
      expectation.sort_names = request.operation.kind == model::Operation::Kind::directory;
      break;
    case What::watch:
      expectation.answer = execute_watch(client, request);
      break;
    case What::unwatch:
      expectation.answer = execute_unwatch(client, request);
      break;
    case What::start:
      client.transactions.push_back(
          {.id = 0, .view = store_.tree, .started_at = store_.version, .steps = {}, .changes = {}});
      break;
    case What::commit:
      expectation.answer = execute_commit(client, request, before);
      break;
    case What::abort:
      expectation.answer = done();
      client.drop_transaction(request.transaction);
      break;
    case What::reset_watches:
      expectation.answer = done();
      for (const WatchModel& watch : client.watches)
        client.owed.release(watch.token);
      client.watches.clear();
      client.transactions.clear();
      break;
    default:
      expectation.answer = execute_domain_request(client, request);
      break;
  }
  client.expected.push_back(std::move(expectation));
}

model::Answer World::execute_operation(Client& client, const Request& request) {
  if (request.transaction != 0) {
    TransactionModel* transaction = client.find_transaction(request.transaction);
    require(transaction != nullptr, "the simulator lost a transaction");
    model::Answer answer =
        model::apply(transaction->view, client.caller, request.operation, transaction->changes);
    transaction->steps.push_back({request.operation, answer});
    return answer;
  }
  std::vector<model::Change> changes;
  model::Answer answer = model::apply(store_.tree, client.caller, request.operation, changes);
  if (writes(request.operation)) ++store_.version;
  fire(changes);
  return answer;
}

model::Answer World::execute_commit(Client& client, const Request& request,
                                    const store::Statistics& before) {
  const store::Statistics after = machine_.statistics();
  const TransactionModel* transaction = client.find_transaction(request.transaction);
  require(transaction != nullptr, "the simulator lost a transaction");
  model::Answer answer = done();
  if (after.transactions_conflicted != before.transactions_conflicted) {
    require(store_.version != transaction->started_at,
            client.home + ": EAGAIN although nothing was written since the transaction began");
    answer = fail(store::Error::again);
  } else {
    require(after.transactions_committed == before.transactions_committed + 1,
            client.home + ": a transaction ended without being counted");
    std::vector<model::Change> changes;
    const model::Tree before_it = store_.tree;
    require(commit(store_, *transaction, client.caller, changes),
            client.home + ": a transaction was committed that could not have run at that moment");
    // What it saw itself change may be told, even if somebody else has changed it meanwhile.
    fire(transaction->changes, false);
    // What came and went within the transaction was never there for others.
    const auto passing = std::ranges::stable_partition(changes, [&](const model::Change& change) {
      return before_it.contains(change.path) || store_.tree.contains(change.path);
    });
    fire({changes.begin(), passing.begin()});
    fire(passing, false);
  }
  client.drop_transaction(request.transaction);
  return answer;
}

model::Answer World::execute_watch(Client& client, const Request& request) {
  const WatchModel& watch = request.watch;
  client.watches.push_back(watch);
  client.owed.must({watch.path.substr(watch.prefix_length), watch.token}, client.sent_to);
  return done();
}

model::Answer World::execute_unwatch(Client& client, const Request& request) {
  const auto found = std::ranges::find(client.watches, request.watch.token, &WatchModel::token);
  if (found == client.watches.end()) return fail(store::Error::noent);
  client.owed.release(request.watch.token);
  client.watches.erase(found);
  return done();
}

model::Answer World::execute_domain_request(Client& client, const Request& request) {
  (void)client;
  Guest* guest = find_guest(request.domid);
  require(guest != nullptr, "the simulator asked about a domain that it does not have");
  if (request.what == What::is_introduced) {
    return {{}, std::string{guest->built ? "T" : "F"} + '\0'};
  }
  if (request.what == What::domain_path) return {{}, store::domain_path(request.domid) + '\0'};
  // The effect was carried out already; to clients the domain is there from now on.
  require(guest->mapped, "INTRODUCE was taken without an attach_domain effect");
  guest->client.forget();
  guest->built = guest->kicked = guest->notified = true;
  guest->building = false;
  fire_special("@introduceDomain", true);
  return done();
}

void World::fire(std::span<const model::Change> changes, bool certain) {
  if (changes.empty()) return;
  each_client([&](Client& client) { owe(client, changes, certain); });
}

void World::owe(Client& client, std::span<const model::Change> changes, bool certain) {
  for (const WatchModel& watch : client.watches) {
    for (const model::Change& change : changes) {
      if (!concerns(change, watch)) continue;
      // A client hears of what it may read. What it owns it may; elsewhere rights change with
      // time, and the right to read the parent counts too, so nothing is demanded there.
      Owed::Key key{change.path.substr(watch.prefix_length), watch.token};
      const bool may_know = client.caller.privileged || change.owner == client.caller.domid;
      if (certain && may_know) {
        client.owed.must(std::move(key), client.sent_to);
      } else {
        client.owed.may(std::move(key));
      }
    }
  }
}

void World::fire_special(std::string_view name, bool certain) {
  each_client([&](Client& client) {
    for (const WatchModel& watch : client.watches) {
      if (watch.path != name) continue;
      if (certain) {
        client.owed.must({std::string{name}, watch.token}, client.sent_to);
      } else {
        client.owed.may({std::string{name}, watch.token});
      }
    }
  });
}

std::uint64_t World::answers() const {
  std::uint64_t sum = 0;
  for (const Guest& guest : guests_)
    sum += guest.client.answers;
  for (const Socket& socket : sockets_)
    sum += socket.client.answers;
  return sum;
}

}  // namespace ppvmm::simulation

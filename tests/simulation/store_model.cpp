#include "simulation/store_model.hpp"

#include "store/path.hpp"

namespace ppvmm::simulation {

void Owed::must(Key key, std::uint64_t sent) {
  Entry& entry = entries_[std::move(key)];
  ++entry.fired;
  entry.due_from = sent;
  entry.due = true;
}

bool Owed::take(const Key& key, std::uint64_t position) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.fired == 0) return false;
  Entry& entry = found->second;
  --entry.fired;
  if (position >= entry.due_from) entry.due = false;
  return true;
}

void Owed::release(std::string_view token) {
  for (auto& [key, entry] : entries_) {
    if (key.second == token) entry.due = false;
  }
}

const Owed::Key* Owed::missing() const {
  for (const auto& [key, entry] : entries_) {
    if (entry.due) return &key;
  }
  return nullptr;
}

bool commit(StoreModel& store, const TransactionModel& transaction, const model::Caller& caller,
            std::vector<model::Change>& changes) {
  model::Tree now = store.tree;
  for (const auto& [operation, answer] : transaction.steps) {
    const bool excused =
        transaction.rights_withdrawn && operation.kind == model::Operation::Kind::get_permissions;
    if (model::apply(now, caller, operation, changes) != answer && !excused) {
      changes.clear();
      return false;
    }
  }
  store.tree = std::move(now);
  ++store.version;
  return true;
}

bool concerns(const model::Change& change, const WatchModel& watch) {
  if (change.exact) return change.path == watch.path;
  return store::is_at_or_below(change.path, watch.path);
}

}  // namespace ppvmm::simulation

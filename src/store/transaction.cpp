#include "store/transaction.hpp"

#include <algorithm>

#include "store/digest.hpp"
#include "store/path.hpp"

namespace ppvmm::store {
namespace {

bool same(const Node* then, const Node* now, std::uint16_t looked_at) {
  // A node that changed was copied first, as the snapshot held on to it.
  if (then == now) return true;
  if (then == nullptr || now == nullptr) return false;
  if ((looked_at & Touch::value) != 0 && then->value_generation != now->value_generation) {
    return false;
  }
  if ((looked_at & Touch::permissions) != 0 && then->permissions != now->permissions) return false;
  return (looked_at & Touch::children) == 0 ||
         then->children_generation == now->children_generation;
}

}  // namespace

void add_nodes(std::vector<std::pair<DomId, std::int64_t>>& counts, DomId domid,
               std::int64_t change) {
  for (auto& [owner, count] : counts) {
    if (owner == domid) {
      count += change;
      return;
    }
  }
  counts.emplace_back(domid, change);
}

AccessRecord& Transaction::touch(std::string_view path, std::uint16_t flags) {
  const std::uint64_t hash = digest(path);
  AccessRecord* record =
      index_.find(hash, [&](const AccessRecord& other) { return other.path == path; });
  if (record == nullptr) {
    records.push_back(std::make_unique<AccessRecord>());
    record = records.back().get();
    record->path = path;
    index_.insert(hash, record);
  }
  // What the transaction wrote itself tells nothing about others.
  if ((record->flags & Touch::wrote_value) != 0) {
    flags = static_cast<std::uint16_t>(flags & ~Touch::value);
  }
  if ((record->flags & Touch::wrote_permissions) != 0) {
    flags = static_cast<std::uint16_t>(flags & ~Touch::permissions);
  }
  const bool first_change =
      (record->flags & Touch::any_change) == 0 && (flags & Touch::any_change) != 0;
  if (first_change) {
    const Node* node = look_up(base.anchor(), path).node;
    if (node != nullptr) record->original = node->permissions;
  }
  record->flags |= flags;
  return *record;
}

const AccessRecord* Transaction::find(std::string_view path) const {
  return index_.find(digest(path), [&](const AccessRecord& other) { return other.path == path; });
}

bool Transaction::conflicts_with(const Tree& committed) const {
  if (doomed) return true;
  if (committed.anchor() == base.anchor()) return false;
  return std::any_of(records.begin(), records.end(), [&](const auto& record) {
    return (record->flags & Touch::any_read) != 0 &&
           !same(look_up(base.anchor(), record->path).node, committed.find(record->path).node,
                 record->flags);
  });
}

bool Transaction::went_with_ancestor(std::string_view path) const {
  while (path.size() > 1 && path[0] == '/') {
    path = parent_path(path);
    const AccessRecord* record = find(path);
    if (record != nullptr && (record->flags & Touch::removed) != 0) return true;
  }
  return false;
}

std::vector<std::pair<DomId, std::int64_t>> Transaction::node_changes(const Tree& committed) const {
  std::vector<std::pair<DomId, std::int64_t>> changes;
  for (const auto& record : records) {
    const std::uint16_t flags = record->flags;
    const Node* after = view.find(record->path).node;
    const Lookup now = committed.find(record->path);
    if ((flags & Touch::removed) != 0 && now.node != nullptr && !went_with_ancestor(record->path)) {
      walk(
          *now.node, *now.parent, record->path, [](const Visit&) { return true; },
          [&](const Visit& visit) { add_nodes(changes, visit.node.permissions->owner(), -1); });
    }
    if (after == nullptr) continue;
    if ((flags & Touch::created) != 0) {
      add_nodes(changes, after->permissions->owner(), 1);
    } else if ((flags & Touch::wrote_permissions) != 0 && now.node != nullptr) {
      add_nodes(changes, now.node->permissions->owner(), -1);
      add_nodes(changes, after->permissions->owner(), 1);
    }
  }
  return changes;
}

void Transaction::recreate(Tree& committed, std::string_view path, std::uint64_t generation) const {
  Components components(path);
  while (!components.done()) {
    (void)components.next();
    const std::string_view ancestor = path.substr(0, components.consumed());
    if (committed.find(ancestor).node != nullptr) continue;
    const Node& node = *view.find(ancestor).node;
    committed.create(ancestor, node.value(), node.permissions, generation);
  }
}

void Transaction::merge_into(Tree& committed, std::uint64_t generation,
                             std::vector<AccessRecord>& unseen) const {
  for (const auto& record : records) {
    if ((record->flags & Touch::removed) == 0) continue;
    const Lookup now = committed.find(record->path);
    if (now.node == nullptr) continue;
    walk(
        *now.node, *now.parent, record->path, [](const Visit&) { return true; },
        [&](const Visit& visit) {
          if (find(visit.path) == nullptr) {
            unseen.push_back({visit.path, Touch::fire_exact, visit.node.permissions});
          }
        });
    committed.erase(record->path, generation);
  }
  for (const auto& record : records) {
    const Node* after = view.find(record->path).node;
    if (after == nullptr) continue;
    if ((record->flags & Touch::created) != 0) {
      if (committed.find(record->path).node == nullptr) {
        recreate(committed, record->path, generation);
      }
      continue;
    }
    if ((record->flags & Touch::wrote_value) != 0) {
      committed.set_value(record->path, after->value(), generation);
    }
    if ((record->flags & Touch::wrote_permissions) != 0) {
      committed.set_permissions(record->path, after->permissions);
    }
  }
}

}  // namespace ppvmm::store

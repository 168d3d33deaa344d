#include "store/tree.hpp"

#include <utility>

#include "store/path.hpp"

namespace ppvmm::store {

Lookup look_up(const Node* anchor, std::string_view path) {
  Lookup result{.node = nullptr, .nearest = anchor, .parent = nullptr, .nearest_length = 0};
  Components components(path);
  while (!components.done()) {
    const Node* child = find_child(result.nearest->children, components.next());
    if (child == nullptr) return result;
    result.parent = result.nearest;
    result.nearest = child;
    result.nearest_length = components.consumed();
  }
  result.node = result.nearest;
  return result;
}

Tree::Tree(NodeHeap& heap, Ledger* ledger)
    : heap_(heap), ledger_(ledger), anchor_(heap.make({}, {}, PermissionRef())) {}

Tree::Tree(NodeHeap& heap, const Snapshot& snapshot)
    : heap_(heap), anchor_(const_cast<Node*>(snapshot.anchor())) {
  NodeHeap::retain(anchor_);
}

Tree::~Tree() {
  heap_.release(anchor_);
}

void Tree::reset(const Snapshot& snapshot) {
  Node* const old = std::exchange(anchor_, const_cast<Node*>(snapshot.anchor()));
  NodeHeap::retain(anchor_);
  heap_.release(old);
}

Node*& Tree::own(std::string_view path) {
  Node** slot = &anchor_;
  heap_.own(*slot);
  Components components(path);
  while (!components.done())
    slot = own_child(heap_, (*slot)->children, components.next());
  return *slot;
}

void Tree::create(std::string_view path, std::string_view value, const PermissionRef& permissions,
                  std::uint64_t generation) {
  const std::size_t existing = find(path).nearest_length;
  // From the last name upward: each new directory has one child.
  Node* node = nullptr;
  std::string_view rest = path;
  for (;;) {
    Node* const parent =
        heap_.make(base_name(rest), node == nullptr ? value : std::string_view(), permissions);
    parent->value_generation = generation;
    parent->children_generation = generation;
    parent->children = std::exchange(node, parent);
    if (ledger_ != nullptr) ledger_->added(rest, *node);
    const bool top_level = rest == "/" || rest[0] == '@';
    if (top_level || parent_path(rest).size() == existing) break;
    rest = parent_path(rest);
  }
  Node& ancestor = *own(path.substr(0, existing));
  insert_child(heap_, ancestor.children, node);
  ancestor.children_generation = generation;
}

void Tree::set_value(std::string_view path, std::string_view value, std::uint64_t generation) {
  Node*& slot = own(path);
  if (ledger_ != nullptr) ledger_->removed(path, *slot);
  heap_.set_value(slot, value);
  slot->value_generation = generation;
  if (ledger_ != nullptr) ledger_->added(path, *slot);
}

void Tree::set_permissions(std::string_view path, const PermissionRef& permissions) {
  Node*& slot = own(path);
  if (ledger_ != nullptr) ledger_->removed(path, *slot);
  heap_.set_permissions(*slot, permissions);
  if (ledger_ != nullptr) ledger_->added(path, *slot);
}

void Tree::restore(std::string_view path, std::string_view value, const PermissionRef& permissions,
                   std::uint64_t value_generation, std::uint64_t children_generation) {
  if (find(path).node != nullptr) {
    set_value(path, value, value_generation);
    set_permissions(path, permissions);
  } else {
    const bool top_level = path == "/" || path[0] == '@';
    Node& parent = *own(top_level ? std::string_view() : parent_path(path));
    const std::uint64_t before = parent.children_generation;
    create(path, value, permissions, value_generation);
    parent.children_generation = before;
  }
  own(path)->children_generation = children_generation;
}

void Tree::erase(std::string_view path, std::uint64_t generation) {
  if (ledger_ != nullptr) {
    const Lookup found = find(path);
    walk(
        *found.node, *found.parent, std::string(path), [](const Visit&) { return true; },
        [this](const Visit& visit) {
          heap_.pulse().step();
          ledger_->removed(visit.path, visit.node);
        });
  }
  Node& parent = *own(parent_path(path));
  heap_.release(remove_child(heap_, parent.children, base_name(path)));
  parent.children_generation = generation;
}

}  // namespace ppvmm::store

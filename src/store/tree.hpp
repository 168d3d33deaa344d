/// The tree of nodes by path: the committed one, and a transaction's private view of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/children.hpp"
#include "store/ledger.hpp"
#include "store/node.hpp"

namespace ppvmm::store {

/// Where a path leads. A hidden anchor holds "/" and the special nodes as its children, so every
/// node has a parent.
struct Lookup {
  const Node* node{};            ///< Null: there is no such node.
  const Node* nearest{};         ///< The node itself or the deepest ancestor that exists.
  const Node* parent{};          ///< Of `nearest`; the anchor for "/" and special nodes.
  std::size_t nearest_length{};  ///< Bytes of the path that lead to `nearest`.
};

[[nodiscard]] Lookup look_up(const Node* anchor, std::string_view path);

/// A tree that can be changed. All paths are canonical (is_canonical()); generations only rise.
class Tree {
 public:
  /// An empty tree. With a ledger, it is the committed one.
  Tree(NodeHeap& heap, Ledger* ledger);
  /// A private view that starts as `snapshot`.
  Tree(NodeHeap& heap, const Snapshot& snapshot);
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree();

  /// Becomes `snapshot`; for views only.
  void reset(const Snapshot& snapshot);

  [[nodiscard]] const Node* anchor() const { return anchor_; }
  [[nodiscard]] Snapshot snapshot() const { return {heap_, anchor_}; }
  [[nodiscard]] Lookup find(std::string_view path) const { return look_up(anchor_, path); }

  /// Adds a node that does not exist, and those of its ancestors that do not: they get the same
  /// permissions and empty values. Costs one step per name.
  void create(std::string_view path, std::string_view value, const PermissionRef& permissions,
              std::uint64_t generation);
  /// Changes an existing node.
  void set_value(std::string_view path, std::string_view value, std::uint64_t generation);
  void set_permissions(std::string_view path, const PermissionRef& permissions);
  /// Puts a node there as it was dumped: adds it, if its parent exists, or overwrites it. Nothing
  /// else changes, the parent's generation neither.
  void restore(std::string_view path, std::string_view value, const PermissionRef& permissions,
               std::uint64_t value_generation, std::uint64_t children_generation);
  /// Calls `set(value_generation, children_generation)` with both of each node, in order of names,
  /// parents first. No snapshot of the tree may exist, as it would change with it.
  template <class Set>
  void restore_generations(Set set);
  /// Removes an existing node with all below it.
  void erase(std::string_view path, std::uint64_t generation);

 private:
  friend class TreeAppender;

  // The slot of an existing node, everything on the way owned.
  Node*& own(std::string_view path);

  NodeHeap& heap_;
  Ledger* ledger_{};
  Node* anchor_{};
};

/// One node on a walk.
struct Visit {
  const Node& node;
  const Node& parent;
  const std::string& path;
};

/// Walks `top`, found at `path` under `parent`, and all below it, in order of names. `enter(Visit)`
/// is called before a node's children and says whether to go down; `leave(Visit)` after them. Uses
/// no stack for depth. The tree must not change meanwhile.
template <class Enter, class Leave>
void walk(const Node& top, const Node& parent, std::string path, Enter enter, Leave leave) {
  struct Step {
    const Node* node;
    const Node* parent;
    std::size_t parent_length;  // of the path
    bool leaving;
  };
  const auto child_path = [&path](std::size_t parent_length, std::string_view name) {
    path.resize(parent_length);
    if (!path.empty() && path.back() != '/') path += '/';
    path += name;
  };
  if (!enter(Visit{top, parent, path})) {
    leave(Visit{top, parent, path});
    return;
  }
  const std::size_t top_length = path.size();
  std::vector<Step> steps;
  // A search tree's node stands for itself and all names after it in its directory.
  const auto push_leftmost = [&steps](const Node* node, const Node* directory, std::size_t length) {
    for (; node != nullptr; node = node->left)
      steps.push_back({node, directory, length, false});
  };
  push_leftmost(top.children, &top, top_length);
  while (!steps.empty()) {
    const Step step = steps.back();
    child_path(step.parent_length, step.node->name());
    if (!step.leaving) {
      steps.back().leaving = true;
      if (enter(Visit{*step.node, *step.parent, path})) {
        push_leftmost(step.node->children, step.node, path.size());
      }
    } else {
      steps.pop_back();
      leave(Visit{*step.node, *step.parent, path});
      push_leftmost(step.node->right, step.parent, step.parent_length);
    }
  }
  path.resize(top_length);
  leave(Visit{top, parent, path});
}

template <class Set>
void Tree::restore_generations(Set set) {
  // Without walk(): nobody needs the paths.
  std::vector<Node*> rest;
  const auto push_leftmost = [&rest](Node* node) {
    for (; node != nullptr; node = node->left)
      rest.push_back(node);
  };
  push_leftmost(anchor_->children);
  while (!rest.empty()) {
    Node* const node = rest.back();
    rest.pop_back();
    set(node->value_generation, node->children_generation);
    push_leftmost(node->right);     // later: the names behind it
    push_leftmost(node->children);  // before them: what is below it
  }
}

}  // namespace ppvmm::store

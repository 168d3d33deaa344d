/// A directory: its children in an ordered, balanced (AVL), persistent search tree, sorted by
/// name. Every change costs O(log n), in place where nobody shares the nodes and by copying the
/// path where a snapshot does.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "store/node.hpp"

namespace ppvmm::store {

/// Higher than any tree that fits into an address space: 1.44 log2(2^40) < 64.
inline constexpr std::size_t kMaxHeight = 64;

/// The child called `name`, or null.
[[nodiscard]] const Node* find_child(const Node* root, std::string_view name);
/// Is each node that a search for `name` meets as it was stored? Only then a child that is not
/// found is known not to be there: one bit in a name, and the search turns the wrong way.
[[nodiscard]] bool search_intact(const Node* root, std::string_view name);
/// The slot that holds the child called `name`, which must exist. All nodes on the way, the child
/// included, are owned by their slots afterwards.
[[nodiscard]] Node** own_child(NodeHeap& heap, Node*& root, std::string_view name);
/// Adds `fresh`, whose name must not be there yet.
void insert_child(NodeHeap& heap, Node*& root, Node* fresh);
/// Takes the child called `name` out and returns it: it must exist, and is the caller's now.
[[nodiscard]] Node* remove_child(NodeHeap& heap, Node*& root, std::string_view name);

/// Makes a search tree of `count` nodes, a list in order of names that is linked through `right`.
/// Nobody else may share them.
[[nodiscard]] Node* balanced(Node* first, std::size_t count);

/// Goes through a directory in order of names, from any place in its listing.
class ChildCursor {
 public:
  /// Starts at the child whose name covers byte `offset` of the listing; `skipped()` says how many
  /// of its bytes lie before `offset`.
  explicit ChildCursor(const Node* root, std::size_t offset = 0);

  /// The child at the cursor, or null at the end.
  [[nodiscard]] const Node* get() const { return depth_ == 0 ? nullptr : stack_[depth_ - 1]; }
  void advance();
  [[nodiscard]] std::size_t skipped() const { return skipped_; }

 private:
  void push(const Node* node);

  std::array<const Node*, kMaxHeight> stack_;  // the child and those ancestors that come after it
  std::size_t depth_{};
  std::size_t skipped_{};
};

}  // namespace ppvmm::store

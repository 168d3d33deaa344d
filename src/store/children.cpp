#include "store/children.hpp"

#include <algorithm>
#include <compare>
#include <utility>

namespace ppvmm::store {
namespace {

// Order of names as byte strings. The prefix decides nearly always, without touching the name.
std::strong_ordering compare(std::uint64_t prefix, std::string_view name, const Node& node) {
  if (prefix != node.prefix) return prefix <=> node.prefix;
  return name <=> node.name();
}

int height(const Node* node) {
  return node == nullptr ? 0 : node->height;
}
std::uint32_t listing(const Node* node) {
  return node == nullptr ? 0 : node->listing;
}

void update(Node& node) {
  node.height = static_cast<std::uint8_t>(1 + std::max(height(node.left), height(node.right)));
  node.listing = listing(node.left) + listing(node.right) + node.name_length + 1U;
}

void rotate_left(NodeHeap& heap, Node*& slot) {
  Node* const top = slot;
  Node* const pivot = &heap.own(top->right);
  top->right = std::exchange(pivot->left, top);
  slot = pivot;
  update(*top);
  update(*pivot);
}

void rotate_right(NodeHeap& heap, Node*& slot) {
  Node* const top = slot;
  Node* const pivot = &heap.own(top->left);
  top->left = std::exchange(pivot->right, top);
  slot = pivot;
  update(*top);
  update(*pivot);
}

// Restores balance at an owned node whose subtrees are balanced and differ by at most two.
void rebalance(NodeHeap& heap, Node*& slot) {
  Node& node = *slot;
  const int lean = height(node.left) - height(node.right);
  if (lean > 1) {
    Node& left = heap.own(node.left);
    if (height(left.left) < height(left.right)) rotate_left(heap, node.left);
    rotate_right(heap, slot);
  } else if (lean < -1) {
    Node& right = heap.own(node.right);
    if (height(right.right) < height(right.left)) rotate_right(heap, node.right);
    rotate_left(heap, slot);
  } else {
    update(node);
  }
}

// A search tree of the first `count` nodes of the list, which loses them. As deep as the tree.
Node* take_balanced(Node*& list, std::size_t count) {
  if (count == 0) return nullptr;
  Node* const left = take_balanced(list, count / 2);
  Node* const top = std::exchange(list, list->right);
  top->left = left;
  top->right = take_balanced(list, count - count / 2 - 1);
  update(*top);
  return top;
}

// The slots from a search tree's root down to some node: where balance must be restored after a
// change below.
class Trail {
 public:
  void push(Node*& slot) { slots_[count_++] = &slot; }
  [[nodiscard]] std::size_t size() const { return count_; }
  void replace(std::size_t at, Node*& slot) { slots_[at] = &slot; }
  void rebalance_upward(NodeHeap& heap) {
    while (count_ > 0)
      rebalance(heap, *slots_[--count_]);
  }

 private:
  std::array<Node**, kMaxHeight> slots_;
  std::size_t count_{};
};

}  // namespace

const Node* find_child(const Node* root, std::string_view name) {
  const std::uint64_t prefix = name_prefix(name);
  while (root != nullptr) {
    const auto order = compare(prefix, name, *root);
    if (order == 0) return root;
    root = order < 0 ? root->left : root->right;
  }
  return nullptr;
}

bool search_intact(const Node* root, std::string_view name) {
  const std::uint64_t prefix = name_prefix(name);
  while (root != nullptr) {
    if (!root->own_bytes_intact() || root->prefix != name_prefix(root->name())) return false;
    const auto order = compare(prefix, name, *root);
    if (order == 0) return true;
    root = order < 0 ? root->left : root->right;
  }
  return true;
}

Node** own_child(NodeHeap& heap, Node*& root, std::string_view name) {
  const std::uint64_t prefix = name_prefix(name);
  Node** slot = &root;
  for (;;) {
    Node& node = heap.own(*slot);
    const auto order = compare(prefix, name, node);
    if (order == 0) return slot;
    slot = order < 0 ? &node.left : &node.right;
  }
}

void insert_child(NodeHeap& heap, Node*& root, Node* fresh) {
  Trail trail;
  Node** slot = &root;
  while (*slot != nullptr) {
    Node& node = heap.own(*slot);
    trail.push(*slot);
    slot = compare(fresh->prefix, fresh->name(), node) < 0 ? &node.left : &node.right;
  }
  *slot = fresh;
  trail.rebalance_upward(heap);
}

Node* remove_child(NodeHeap& heap, Node*& root, std::string_view name) {
  const std::uint64_t prefix = name_prefix(name);
  Trail trail;
  Node** slot = &root;
  for (;;) {
    Node& node = heap.own(*slot);
    const auto order = compare(prefix, name, node);
    if (order == 0) break;
    trail.push(*slot);
    slot = order < 0 ? &node.left : &node.right;
  }
  Node* const removed = *slot;
  if (removed->left == nullptr || removed->right == nullptr) {
    *slot = removed->left != nullptr ? removed->left : removed->right;
  } else {
    // The next name takes the place: it is the leftmost on the right.
    trail.push(*slot);
    const std::size_t first_below = trail.size();
    Node** next = &removed->right;
    while (heap.own(*next).left != nullptr) {
      trail.push(*next);
      next = &(*next)->left;
    }
    Node* const successor = *next;
    *next = successor->right;
    successor->left = removed->left;
    successor->right = removed->right;
    *slot = successor;
    // The trail went through the removed node's slot, which is the successor's now.
    if (trail.size() > first_below) trail.replace(first_below, successor->right);
  }
  removed->left = removed->right = nullptr;
  update(*removed);
  trail.rebalance_upward(heap);
  return removed;
}

Node* balanced(Node* first, std::size_t count) {
  return take_balanced(first, count);
}

ChildCursor::ChildCursor(const Node* root, std::size_t offset) {
  while (root != nullptr) {
    const std::size_t before = listing(root->left);
    const std::size_t through = before + root->name_length + 1U;
    if (offset < before) {
      push(root);
      root = root->left;
    } else if (offset < through) {
      push(root);
      skipped_ = offset - before;
      return;
    } else {
      offset -= through;
      root = root->right;
    }
  }
}

// What comes after a node lies to its right, and nowhere near it in memory: fetched while those
// before it are read. The second line of a node has its checksum, the third its text.
void ChildCursor::push(const Node* node) {
  constexpr std::size_t kLine = 64;
  stack_[depth_++] = node;
  const char* const next = reinterpret_cast<const char*>(node->right);
  __builtin_prefetch(next);
  __builtin_prefetch(next + kLine);
  __builtin_prefetch(reinterpret_cast<const char*>(node->left));
}

void ChildCursor::advance() {
  const Node* next = stack_[--depth_]->right;
  skipped_ = 0;
  for (; next != nullptr; next = next->left)
    push(next);
}

}  // namespace ppvmm::store

/// One node of the tree: a block of memory with its name and value behind it, reference counted
/// and shared between the committed tree and the snapshots of transactions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "store/heartbeat.hpp"
#include "store/permission.hpp"

namespace ppvmm::store {

/// A node is also a link in its directory's search tree (children.hpp): `left` and `right` are
/// siblings, `children` is the root of its own directory. A node with more than one reference is
/// never changed: NodeHeap::own() makes a private copy first.
struct Node {
  std::uint32_t references{1};
  std::uint8_t height{1};  ///< Of the search tree rooted here.
  std::uint16_t name_length{};
  std::uint64_t prefix{};  ///< First eight bytes of the name, as a number that sorts like them.
  Node* left{};
  Node* right{};
  Node* children{};
  PermissionRef permissions;
  std::uint64_t value_generation{};     ///< Changes with every write of the value.
  std::uint64_t children_generation{};  ///< Changes when a child comes or goes.
  std::uint64_t checksum{};             ///< Of name, value and permission list.
  std::uint32_t value_length{};
  std::uint32_t listing{};  ///< Bytes of all names in the search tree rooted here, NULs included.

  [[nodiscard]] std::string_view name() const { return {text(), name_length}; }
  [[nodiscard]] std::string_view value() const { return {text() + name_length, value_length}; }
  /// Bytes of all children's names, each with its NUL: the length of a DIRECTORY answer.
  [[nodiscard]] std::uint32_t listing_bytes() const {
    return children == nullptr ? 0 : children->listing;
  }
  /// Whether name, value and permissions are what was stored.
  [[nodiscard]] bool intact() const {
    return permissions && own_bytes_intact() && permissions->intact();
  }
  /// The same without a look into the permission list, for who has just verified that list. A node
  /// without one, which only the anchor is, is not asked.
  [[nodiscard]] bool own_bytes_intact() const { return checksum == compute_checksum(); }

 private:
  friend class NodeHeap;
  [[nodiscard]] const char* text() const { return reinterpret_cast<const char*>(this + 1); }
  [[nodiscard]] char* text() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::uint64_t compute_checksum() const;
};
static_assert(sizeof(Node) == 80, "the budget for 100 000 nodes in 64 MiB counts on it");

/// Makes, copies, changes and frees nodes, and knows how many bytes they take.
class NodeHeap {
 public:
  explicit NodeHeap(Heartbeat heartbeat = {}) : pulse_{heartbeat} {}
  NodeHeap(const NodeHeap&) = delete;
  NodeHeap& operator=(const NodeHeap&) = delete;

  /// A node without children or siblings, with one reference.
  [[nodiscard]] Node* make(std::string_view name, std::string_view value,
                           PermissionRef permissions);
  /// Makes the node in `slot` the slot's own, by copying it if others share it.
  Node& own(Node*& slot) { return slot->references == 1 ? *slot : unshare(slot); }
  /// Changes the value of the node in `slot`, which must be the slot's own; the block may move.
  void set_value(Node*& slot, std::string_view value);
  void set_permissions(Node& node, PermissionRef permissions);
  static void retain(Node* node) {
    if (node != nullptr) ++node->references;
  }
  /// Drops one reference; frees the node and whatever only it held, however deep that goes.
  void release(Node* node);

  /// To be told of each node that is made, freed, or visited in a walk over many.
  [[nodiscard]] Pulse& pulse() const { return pulse_; }

  /// Bytes taken by all nodes, allocator overhead included.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Bytes that a node with such a name and value takes.
  [[nodiscard]] static std::size_t footprint(std::size_t name_length, std::size_t value_length);

 private:
  Node& unshare(Node*& slot);
  [[nodiscard]] Node* allocate(std::size_t name_length, std::size_t value_length);
  void free(Node* node);

  std::size_t bytes_{};
  mutable Pulse pulse_;  ///< Tells of work, is no part of the state.
};

/// Shared ownership of a whole tree as it was at one moment.
class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(NodeHeap& heap, Node* anchor) : heap_(&heap), anchor_(anchor) {
    NodeHeap::retain(anchor);
  }
  Snapshot(const Snapshot& other) : heap_(other.heap_), anchor_(other.anchor_) {
    NodeHeap::retain(anchor_);
  }
  Snapshot(Snapshot&& other) noexcept
      : heap_(other.heap_), anchor_(std::exchange(other.anchor_, nullptr)) {}
  Snapshot& operator=(Snapshot other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(anchor_, other.anchor_);
    return *this;
  }
  ~Snapshot() {
    if (anchor_ != nullptr) heap_->release(anchor_);
  }

  [[nodiscard]] const Node* anchor() const { return anchor_; }

 private:
  NodeHeap* heap_{};
  Node* anchor_{};
};

/// The first eight bytes of a name as a number that sorts as the names do.
[[nodiscard]] std::uint64_t name_prefix(std::string_view name);

}  // namespace ppvmm::store

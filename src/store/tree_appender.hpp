/// Fills a tree with nodes that come in the order of a walk: parents first, siblings by name. That
/// is the order in which a tree is dumped, so a rebirth is one pass over the stream: no path is
/// looked up, and each directory becomes a balanced search tree in O(n) when its last child is in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "store/tree.hpp"

namespace ppvmm::store {

/// While directories are open their children are a list, not yet a search tree: nobody may look
/// anything up in the tree, change it otherwise or take a snapshot of it before close(). Paths are
/// not copied; those given must stay where they are until then.
class TreeAppender {
 public:
  explicit TreeAppender(Tree& tree) : tree_{tree} {}
  TreeAppender(const TreeAppender&) = delete;
  TreeAppender& operator=(const TreeAppender&) = delete;

  /// Nodes below the existing node `path` are expected next. Without effect if it has children
  /// already. Closes what was open.
  void open(std::string_view path);

  /// Whether `path`, which is nobody's word, is canonical, new, and the next one of an open
  /// directory. Directories that its place shows to be over are completed. False says nothing about
  /// the path but that it is not for append().
  [[nodiscard]] bool fits(std::string_view path);

  /// Adds the node for which fits() has just said yes.
  void append(std::string_view path, std::string_view value, const PermissionRef& permissions,
              std::uint64_t generation);

  /// Completes all open directories: the tree is one again.
  void close();

 private:
  struct Directory {
    Node* node{};
    Node* last{};          ///< Its last child so far.
    std::size_t count{};   ///< Of its children.
    std::size_t length{};  ///< Of its path.
  };
  void complete_last();

  Tree& tree_;
  std::vector<Directory> open_;  ///< From the one that was opened down to the last node.
  std::string_view path_;        ///< Of the last node; the open directories' paths begin it.
};

}  // namespace ppvmm::store

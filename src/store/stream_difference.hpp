/// How one tree differs from another, in an order in which the changes can be made.
#pragma once

#include <string>

#include "store/children.hpp"
#include "store/tree.hpp"

namespace ppvmm::store::stream {

/// Two versions of one directory.
struct DirectoryPair {
  const Node* before;
  const Node* after;
  std::string path;  ///< Empty for the anchors.
};

[[nodiscard]] inline std::string child_path(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

[[nodiscard]] inline bool same_contents(const Node& one, const Node& other) {
  return one.value_generation == other.value_generation &&
         one.children_generation == other.children_generation &&
         one.permissions == other.permissions && one.value() == other.value();
}

/// Goes through two trees side by side, leaving out what they share. Calls `gone(path, node)` for
/// the top of what only `before` has, `fresh(path, node, parent)` for the top of what only `after`
/// has, and `changed(path, node)` for nodes whose own contents differ. Parents come before their
/// children. Uses no stack for depth.
template <class Gone, class Fresh, class Changed>
void compare(const Node* before, const Node* after, Gone gone, Fresh fresh, Changed changed) {
  std::vector<DirectoryPair> open;
  open.push_back({before, after, {}});
  while (!open.empty()) {
    const DirectoryPair pair = std::move(open.back());
    open.pop_back();
    ChildCursor old_children{pair.before->children};
    ChildCursor new_children{pair.after->children};
    while (old_children.get() != nullptr || new_children.get() != nullptr) {
      const Node* const was = old_children.get();
      const Node* const is = new_children.get();
      const int order = was == nullptr ? 1 : is == nullptr ? -1 : was->name().compare(is->name());
      if (order <= 0) old_children.advance();
      if (order >= 0) new_children.advance();
      if (order == 0 && was == is) continue;
      std::string path = child_path(pair.path, order < 0 ? was->name() : is->name());
      if (order < 0) {
        gone(path);
      } else if (order > 0) {
        fresh(path, *is, *pair.after);
      } else {
        if (!same_contents(*was, *is)) changed(path, *is);
        if (was->children != is->children) open.push_back({was, is, std::move(path)});
      }
    }
  }
}

/// Calls `removed(path)` for the top of each subtree that is in `before` only, then
/// `put(path, node)` for each node of `after` that is new or has other contents, parents first.
/// Made in this order, the changes turn `before` into `after`. Both are anchors.
template <class Removed, class Put>
void difference(const Node* before, const Node* after, Removed removed, Put put) {
  const auto ignore = [](const auto&...) {};
  compare(before, after, removed, ignore, ignore);
  const auto put_all = [&](const std::string& path, const Node& node, const Node& parent) {
    walk(
        node, parent, path,
        [&](const Visit& visit) {
          put(visit.path, visit.node);
          return true;
        },
        [](const Visit&) {});
  };
  compare(before, after, ignore, put_all, put);
}

}  // namespace ppvmm::store::stream

#include "store/scrub.hpp"

#include <string_view>
#include <vector>

#include "store/children.hpp"
#include "store/state.hpp"

namespace ppvmm::store {
namespace {

/// The first child, in order of names, that comes after `name`; null if there is none.
const Node* child_after(const Node* root, std::string_view name) {
  const Node* found = nullptr;
  while (root != nullptr) {
    if (name < root->name()) {
      found = root;
      root = root->left;
    } else {
      root = root->right;
    }
  }
  return found;
}

const Node* first_child(const Node* root) {
  while (root != nullptr && root->left != nullptr)
    root = root->left;
  return root;
}

/// A walk through the whole tree in order of paths, children after their parent. It holds only as
/// long as the tree does not change; the path is what outlives it.
class Walk {
 public:
  /// Starts behind `path`, which is kept up to date. Where it leads to no node any more, the walk
  /// goes on with whatever comes after that place.
  Walk(const Tree& tree, std::string& path) : path_{path} {
    line_.push_back({.node = tree.anchor(), .length = 0});
    std::string_view rest = path_;
    while (!rest.empty()) {
      const std::string_view name = first_name(rest);
      rest.remove_prefix(name.size());
      if (rest.starts_with('/')) rest.remove_prefix(1);
      const Node* const child = find_child(line_.back().node->children, name);
      if (child == nullptr) {
        gone_ = name;
        return;
      }
      enter(child);
    }
  }

  /// The next node, or null at the end. `path` is its path.
  const Node* next() {
    const Node* found = gone_.empty() ? first_child(line_.back().node->children)
                                      : child_after(line_.back().node->children, gone_);
    gone_.clear();
    while (found == nullptr && line_.size() > 1) {
      const std::string_view name = line_.back().node->name();
      line_.pop_back();
      found = child_after(line_.back().node->children, name);
    }
    path_.resize(line_.back().length);
    if (found == nullptr) return nullptr;
    if (!path_.empty() && path_.back() != '/') path_ += '/';
    path_ += found->name();
    enter(found);
    return found;
  }

 private:
  struct Level {
    const Node* node{};
    std::size_t length{};  ///< Of its path.
  };

  /// The anchor's children are "/" and the special nodes, which are named without a parent.
  [[nodiscard]] std::string_view first_name(std::string_view rest) const {
    if (line_.size() == 1 && rest.starts_with('/')) return rest.substr(0, 1);
    return rest.substr(0, rest.find('/'));
  }

  void enter(const Node* node) {
    const Level& above = line_.back();
    const bool joined = above.length > 0 && path_[above.length - 1] != '/';
    line_.push_back(
        {.node = node, .length = above.length + (joined ? 1 : 0) + node->name().size()});
  }

  std::string& path_;
  std::vector<Level> line_;  ///< From the anchor to where the walk is.
  std::string gone_;         ///< A name that was there when the path was written down.
};

}  // namespace

Scrubbed scrub(const State& state, ScrubCursor& cursor, std::size_t budget) {
  Scrubbed result;
  Walk walk{state.tree, cursor.path};
  while (result.nodes < budget) {
    const Node* const node = walk.next();
    if (node == nullptr) {
      cursor.path.clear();
      result.finished = true;
      break;
    }
    ++result.nodes;
    if (node->intact()) continue;
    result.corrupt = cursor.path;
    break;
  }
  return result;
}

}  // namespace ppvmm::store

#include "store/scrub.hpp"

#include <string_view>

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

/// Goes from `path` to the next node; null at the end. The anchor's children ("/" and the special
/// nodes) are named without a parent.
const Node* advance(const Tree& tree, std::string& path) {
  const Node* const anchor = tree.anchor();
  const Node* next = nullptr;
  if (path.empty()) {
    next = first_child(anchor->children);
    if (next != nullptr) path = next->name();
    return next;
  }
  if (const Node* here = tree.find(path).node) next = first_child(here->children);
  if (next != nullptr) {
    if (path.back() != '/') path += '/';
    path += next->name();
    return next;
  }
  while (next == nullptr) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos || path.size() == 1) {
      next = child_after(anchor->children, path);
      if (next != nullptr) path = next->name();
      return next;
    }
    const std::string name = path.substr(slash + 1);
    path.resize(slash == 0 ? 1 : slash);
    const Node* const parent = tree.find(path).node;
    if (parent != nullptr) next = child_after(parent->children, name);
  }
  if (path.back() != '/') path += '/';
  path += next->name();
  return next;
}

}  // namespace

Scrubbed scrub(const State& state, ScrubCursor& cursor, std::size_t budget) {
  Scrubbed result;
  while (result.nodes < budget) {
    const Node* const node = advance(state.tree, cursor.path);
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

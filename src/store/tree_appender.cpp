#include "store/tree_appender.hpp"

#include "store/path.hpp"
#include "store/wire.hpp"

namespace ppvmm::store {

void TreeAppender::open(std::string_view path) {
  close();
  // Owned from the anchor down, so that what is appended changes no snapshot.
  Node* const node = tree_.own(path);
  if (node->children != nullptr) return;
  open_.push_back({.node = node, .last = nullptr, .count = 0, .length = path.size()});
  path_ = path;
}

bool TreeAppender::fits(std::string_view path) {
  // The parent's path is canonical, as the parent exists: only the name has to be looked at.
  const std::size_t start = name_start(path);
  if (start == 0 || path.size() > kAbsolutePathMax) return false;
  const std::size_t parent = start == 1 ? 1 : start - 1;  // "/" ends with its own slash
  while (!open_.empty() && open_.back().length > parent)
    complete_last();
  if (open_.empty() || open_.back().length != parent) return false;
  if (path_.substr(0, parent) != path.substr(0, parent)) return false;
  const Node* const last = open_.back().last;
  if (last == nullptr) return true;
  const std::string_view name = path.substr(start);
  const std::uint64_t prefix = name_prefix(name);
  return last->prefix != prefix ? last->prefix < prefix : last->name() < name;
}

void TreeAppender::append(std::string_view path, std::string_view value,
                          const PermissionRef& permissions, std::uint64_t generation) {
  Directory& directory = open_.back();
  const std::size_t start = directory.length == 1 ? 1 : directory.length + 1;
  Node* const node = tree_.heap_.make(path.substr(start), value, permissions);
  node->value_generation = generation;
  node->children_generation = generation;
  (directory.last == nullptr ? directory.node->children : directory.last->right) = node;
  directory.last = node;
  ++directory.count;
  if (tree_.ledger_ != nullptr) tree_.ledger_->added(path, *node);
  open_.push_back({.node = node, .last = nullptr, .count = 0, .length = path.size()});
  path_ = path;
}

void TreeAppender::complete_last() {
  const Directory& directory = open_.back();
  if (directory.count > 1) {
    directory.node->children = balanced(directory.node->children, directory.count);
  }
  open_.pop_back();
}

void TreeAppender::close() {
  while (!open_.empty())
    complete_last();
}

}  // namespace ppvmm::store

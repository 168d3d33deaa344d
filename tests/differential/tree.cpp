#include "differential/tree.hpp"

#include <algorithm>

#include "differential/wire.hpp"

namespace ppvmm::differential {
namespace {

/// A socket client that no scenario uses.
constexpr Actor kReader{Actor::Kind::socket, 99};

}  // namespace

Tree read_tree(Server& server) {
  server.open(kReader);
  Tree tree;
  std::vector<std::string> open{"/"};
  while (!open.empty()) {
    const std::string path = std::move(open.back());
    open.pop_back();
    const std::string argument = path + '\0';
    const Answer names = server.ask(kReader, XS_DIRECTORY, 0, argument);
    tree[path] = {server.ask(kReader, XS_READ, 0, argument),
                  server.ask(kReader, XS_GET_PERMS, 0, argument)};
    if (names.kind != Answer::Kind::reply || names.type != XS_DIRECTORY) continue;
    std::string_view left = names.payload;
    while (!left.empty()) {
      const auto name = left.substr(0, left.find('\0'));
      open.push_back((path == "/" ? path : path + '/') + std::string(name));
      left.remove_prefix(std::min(left.size(), name.size() + 1));
    }
  }
  server.close(kReader);
  return tree;
}

std::vector<TreeDifference> differences(const Tree& first, const Tree& second) {
  std::vector<TreeDifference> result;
  for (const auto& [path, node] : first) {
    const auto other = second.find(path);
    if (other == second.end())
      result.push_back({path, &node, nullptr});
    else if (node != other->second)
      result.push_back({path, &node, &other->second});
  }
  for (const auto& [path, node] : second)
    if (!first.contains(path)) result.push_back({path, nullptr, &node});
  return result;
}

std::string to_text(const Node* node) {
  if (node == nullptr) return "no such node";
  return "value " + quoted(node->value.payload) + " permissions " +
         quoted(node->permissions.payload);
}

}  // namespace ppvmm::differential

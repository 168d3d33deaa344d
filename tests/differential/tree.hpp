/// The whole tree of a server, as a privileged client sees it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "differential/server.hpp"

namespace ppvmm::differential {

struct Node {
  Answer value;
  Answer permissions;

  friend bool operator==(const Node&, const Node&) = default;
};

using Tree = std::map<std::string, Node>;

/// Reads everything over a new socket client.
[[nodiscard]] Tree read_tree(Server& server);

struct TreeDifference {
  std::string path;
  const Node* first{};   ///< Null: not there.
  const Node* second{};  ///< Null: not there.
};

/// The nodes that differ; both trees must outlive the result.
[[nodiscard]] std::vector<TreeDifference> differences(const Tree& first, const Tree& second);

[[nodiscard]] std::string to_text(const Node* node);

}  // namespace ppvmm::differential

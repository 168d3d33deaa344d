/// A XenStore in the simplest way that could be right: a map from paths to nodes, copied whole
/// where the server is clever. What the server answers is compared with what this answers.
///
/// Rules: xenstore.txt, and docs/xenstore-protocol.md where that is silent. Quotas are left out:
/// those who are compared stay below them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/permission.hpp"
#include "store/types.hpp"

namespace ppvmm::model {

using store::DomId;
using store::Error;
using Permissions = std::vector<store::Permission>;

struct Node {
  std::string value;
  Permissions permissions;

  friend bool operator==(const Node&, const Node&) = default;
};

using Tree = std::map<std::string, Node, std::less<>>;

/// Who asks.
struct Caller {
  DomId domid{};
  bool privileged{};
};

/// A request that reads or changes the tree.
struct Operation {
  enum class Kind { read, directory, get_permissions, write, mkdir, remove, set_permissions };
  Kind kind{};
  std::string path;  ///< Absolute.
  std::string value{};
  Permissions permissions{};
};

/// What comes back: an error or the answer's payload.
struct Answer {
  std::optional<Error> error;
  std::string payload;

  friend bool operator==(const Answer&, const Answer&) = default;
};

/// A node that watches must hear of.
struct Change {
  std::string path;
  bool exact{};   ///< Only watches on exactly this node count.
  DomId owner{};  ///< Whose the node is, or was: who may know for certain.
};

/// The nodes a server starts with: the root, "/tool" and what else the server makes by itself must
/// be added by the caller. The root belongs to domain 0 and all may not read it.
[[nodiscard]] Tree empty_tree();

/// Does `operation` on `tree`, appends what changed to `changes`, and gives the answer.
Answer apply(Tree& tree, const Caller& caller, const Operation& operation,
             std::vector<Change>& changes);

/// Removes what a dead domain leaves behind: its nodes with all below them, and the rights others
/// gave it. A domain's own nodes that lie below removed ones go with them.
void remove_domain(Tree& tree, DomId domid, std::vector<Change>& changes);

/// Takes the rights that `domid` was given out of one list, or of every node.
void withdraw_rights(Permissions& list, DomId domid);
void withdraw_rights(Tree& tree, DomId domid);

/// The rights of a caller on a node: Access bits.
[[nodiscard]] std::uint8_t rights(const Node& node, const Caller& caller);

/// Nodes that `domid` owns.
[[nodiscard]] std::size_t owned(const Tree& tree, DomId domid);

/// Names of a node's children, each with its NUL, in order of names.
[[nodiscard]] std::string listing(const Tree& tree, std::string_view path);

/// The wire form of a permission list: "n0", "r5", each with its NUL.
[[nodiscard]] std::string permission_text(const Permissions& permissions);

}  // namespace ppvmm::model

#include "support/model.hpp"

#include <algorithm>

namespace ppvmm::model {
namespace {

using store::Access;

std::string_view parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

/// What every descendant's path starts with.
std::string below(std::string_view path) {
  return path == "/" ? "/" : std::string{path} + '/';
}

DomId owner_of(const Node& node) {
  return node.permissions.front().domid;
}

const Node& nearest(const Tree& tree, std::string_view path) {
  while (true) {
    const auto found = tree.find(path);
    if (found != tree.end()) return found->second;
    path = parent_of(path);
  }
}

/// A missing node is told as missing only to those who would have the right on what is above it.
Answer missing(const Tree& tree, const Caller& caller, std::string_view path, std::uint8_t wanted) {
  const bool may_know = (rights(nearest(tree, path), caller) & wanted) != 0;
  return {may_know ? Error::noent : Error::acces, {}};
}

Answer fail(Error error) {
  return {error, {}};
}
Answer done() {
  return {{}, std::string{"OK\0", 3}};
}

/// Makes a node and the ancestors it lacks. They take the rights of the nearest ancestor there is;
/// what an unprivileged domain makes, it owns.
void create(Tree& tree, const Caller& caller, const std::string& path, const std::string& value) {
  Permissions inherited = nearest(tree, path).permissions;
  if (!caller.privileged) inherited.front().domid = caller.domid;
  for (std::string_view at = parent_of(path); !tree.contains(at); at = parent_of(at)) {
    tree.emplace(at, Node{{}, inherited});
  }
  tree[path] = Node{value, inherited};
}

Answer write(Tree& tree, const Caller& caller, const Operation& operation,
             std::vector<Change>& changes, bool is_mkdir) {
  const auto found = tree.find(operation.path);
  const Node& judge = found != tree.end() ? found->second : nearest(tree, operation.path);
  if ((rights(judge, caller) & Access::write) == 0) return fail(Error::acces);
  if (found == tree.end()) {
    create(tree, caller, operation.path, is_mkdir ? std::string{} : operation.value);
  } else if (is_mkdir) {
    return done();
  } else {
    found->second.value = operation.value;
  }
  changes.push_back({operation.path, false, owner_of(tree.at(operation.path))});
  return done();
}

void erase(Tree& tree, const std::string& path, std::vector<Change>& changes) {
  const std::string prefix = below(path);
  auto at = tree.lower_bound(prefix);
  while (at != tree.end() && at->first.starts_with(prefix)) {
    changes.push_back({at->first, true, owner_of(at->second)});
    at = tree.erase(at);
  }
  changes.push_back({path, false, owner_of(tree.at(path))});
  tree.erase(path);
}

Answer remove(Tree& tree, const Caller& caller, const Operation& operation,
              std::vector<Change>& changes) {
  if (operation.path == "/") return fail(Error::inval);
  const auto found = tree.find(operation.path);
  if (found == tree.end()) {
    Answer answer = missing(tree, caller, operation.path, Access::write);
    // Removing what is not there succeeds when it could have been there.
    if (answer.error == Error::noent && tree.contains(parent_of(operation.path))) return done();
    return answer;
  }
  if ((rights(found->second, caller) & Access::write) == 0) return fail(Error::acces);
  erase(tree, operation.path, changes);
  return done();
}

Answer set_permissions(Tree& tree, const Caller& caller, const Operation& operation,
                       std::vector<Change>& changes) {
  const auto found = tree.find(operation.path);
  if (found == tree.end()) {
    return missing(tree, caller, operation.path, Access::write | Access::owner);
  }
  if ((rights(found->second, caller) & Access::owner) == 0) return fail(Error::acces);
  Permissions& now = found->second.permissions;
  if (!caller.privileged && operation.permissions.front().domid != now.front().domid) {
    return fail(Error::perm);
  }
  now = operation.permissions;
  changes.push_back({operation.path, false, owner_of(found->second)});
  return done();
}

Answer read(const Tree& tree, const Caller& caller, const Operation& operation) {
  const auto found = tree.find(operation.path);
  if (found == tree.end()) return missing(tree, caller, operation.path, Access::read);
  const Node& node = found->second;
  if ((rights(node, caller) & Access::read) == 0) return fail(Error::acces);
  switch (operation.kind) {
    case Operation::Kind::read:
      return {{}, node.value};
    case Operation::Kind::directory:
      return {{}, listing(tree, operation.path)};
    default:
      return {{}, permission_text(node.permissions)};
  }
}

}  // namespace

Tree empty_tree() {
  return {{"/", Node{{}, {{.domid = 0, .access = Access::none}}}}};
}

Answer apply(Tree& tree, const Caller& caller, const Operation& operation,
             std::vector<Change>& changes) {
  switch (operation.kind) {
    case Operation::Kind::write:
      return write(tree, caller, operation, changes, false);
    case Operation::Kind::mkdir:
      return write(tree, caller, operation, changes, true);
    case Operation::Kind::remove:
      return remove(tree, caller, operation, changes);
    case Operation::Kind::set_permissions:
      return set_permissions(tree, caller, operation, changes);
    default:
      return read(tree, caller, operation);
  }
}

void remove_domain(Tree& tree, DomId domid, std::vector<Change>& changes) {
  for (auto at = tree.begin(); at != tree.end();) {
    const std::string path = at->first;
    if (path != "/" && at->second.permissions.front().domid == domid) {
      erase(tree, path, changes);
      at = tree.upper_bound(path);
    } else {
      ++at;
    }
  }
  withdraw_rights(tree, domid);
}

void withdraw_rights(Permissions& list, DomId domid) {
  if (list.empty()) return;
  list.erase(std::remove_if(list.begin() + 1, list.end(),
                            [&](const auto& entry) { return entry.domid == domid; }),
             list.end());
}

void withdraw_rights(Tree& tree, DomId domid) {
  for (auto& [path, node] : tree)
    withdraw_rights(node.permissions, domid);
}

std::uint8_t rights(const Node& node, const Caller& caller) {
  const Permissions& list = node.permissions;
  if (caller.privileged || list.front().domid == caller.domid) return Access::all;
  for (std::size_t i = 1; i < list.size(); ++i) {
    if (list[i].domid == caller.domid) return list[i].access;
  }
  return list.front().access;
}

std::size_t owned(const Tree& tree, DomId domid) {
  return static_cast<std::size_t>(std::ranges::count_if(
      tree, [&](const auto& entry) { return entry.second.permissions.front().domid == domid; }));
}

std::string listing(const Tree& tree, std::string_view path) {
  const std::string prefix = below(path);
  std::string names;
  for (auto at = tree.upper_bound(prefix); at != tree.end() && at->first.starts_with(prefix);
       ++at) {
    const std::string_view rest = std::string_view{at->first}.substr(prefix.size());
    if (rest.find('/') != std::string_view::npos) continue;
    names += rest;
    names += '\0';
  }
  return names;
}

std::string permission_text(const Permissions& permissions) {
  std::string text;
  store::append_permissions(text, permissions);
  return text;
}

}  // namespace ppvmm::model

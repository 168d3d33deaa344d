// READ, WRITE, MKDIR, RM, GET_PERMS, SET_PERMS.
#include <algorithm>

#include "store/node_access.hpp"
#include "store/path.hpp"

namespace ppvmm::store {
namespace {

std::size_t permission_bytes(std::size_t entries) {
  return entries * sizeof(Permission) * 2;
}

// Whether a node of such a size is within the client's limit; a refusal is counted.
bool fits(State& state, const Request& request, std::size_t value, std::size_t permissions,
          std::size_t listing) {
  if (request.client.privileged()) return true;
  if (value + permission_bytes(permissions) + listing <= state.options.quotas.node_size)
    return true;
  state.refuse(request.client, &Quotas::node_size, message_name(request.header.type));
  return false;
}

Tree& writable_tree(State& state, const Request& request) {
  return request.transaction != nullptr ? request.transaction->view : state.tree;
}

// Nodes that `domid` owns as the request sees it.
std::int64_t nodes_owned(const State& state, const Request& request, DomId domid) {
  const Domain* domain = state.domains.find(domid);
  std::int64_t count = domain == nullptr ? 0 : domain->usage.nodes;
  if (request.transaction != nullptr) {
    for (const auto& [owner, change] : request.transaction->owned) {
      if (owner == domid) count += change;
    }
  }
  return count;
}

// Whether the client may create `count` nodes more that take `bytes`.
Status may_create(State& state, const Request& request, std::size_t count, std::size_t bytes) {
  const std::string_view operation = message_name(request.header.type);
  if (!state.machine_may_grow(operation)) return std::unexpected(Error::nospc);
  if (request.client.privileged()) return {};
  const std::int64_t owned = nodes_owned(state, request, request.client.domid);
  if (owned + static_cast<std::int64_t>(count) > std::int64_t{state.options.quotas.nodes}) {
    state.refuse(request.client, &Quotas::nodes, operation);
    return std::unexpected(Error::nospc);
  }
  if (!state.may_grow(request.client, static_cast<std::int64_t>(bytes), operation)) {
    return std::unexpected(Error::nomem);
  }
  return {};
}

// Creates `path` and its missing ancestors. They inherit the nearest ancestor's permissions; what
// an unprivileged client creates is its own.
Status create(State& state, const Request& request, std::string_view path, std::string_view value) {
  Tree& tree = writable_tree(state, request);
  const Lookup found = tree.find(path);
  const std::string_view ancestor = path.substr(0, found.nearest_length);
  std::vector<std::string_view> missing;
  std::size_t bytes = 0;
  std::size_t listing = found.nearest->listing_bytes();
  const std::size_t entries = found.nearest->permissions->entries.size();
  Components components(path);
  while (!components.done()) {
    const std::string_view name = components.next();
    if (components.consumed() <= found.nearest_length) continue;
    missing.push_back(path.substr(0, components.consumed()));
    bytes += NodeHeap::footprint(name.size(), components.done() ? value.size() : 0);
    // The name is one more in its directory: the nearest ancestor's, or a new one that has only it.
    if (!fits(state, request, missing.size() == 1 ? found.nearest->value_length : 0, entries,
              listing + name.size() + 1)) {
      return std::unexpected(Error::nospc);
    }
    listing = 0;
  }
  if (!fits(state, request, value.size(), entries, 0)) return std::unexpected(Error::nospc);
  if (const Status status = may_create(state, request, missing.size(), bytes); !status) {
    return status;
  }
  PermissionRef permissions = found.nearest->permissions;
  if (!request.client.privileged() && permissions->owner() != request.client.domid) {
    std::vector<Permission> inherited = permissions->entries;
    inherited.front().domid = request.client.domid;
    permissions = state.permissions.intern(inherited);
  }
  if (request.transaction != nullptr) {
    // All records first: a refusal must find nothing changed.
    if (const Status status = touch(state, request, ancestor, Touch::permissions); !status) {
      return status;
    }
    for (const std::string_view node : missing) {
      if (const Status status = touch(state, request, node, Touch::existence); !status) {
        return status;
      }
    }
    for (const std::string_view node : missing) {
      request.transaction->touch(node, Touch::created);
      add_nodes(request.transaction->owned, permissions->owner(), 1);
    }
  }
  ++state.generation;
  const std::size_t bytes_before = state.heap.bytes();
  tree.create(path, value, permissions, state.generation);
  charge_view(state, request, bytes_before);
  return {};
}

// Tells of a change of an existing (or just created) node: at once, or at the transaction's end.
Status changed(State& state, const Request& request, std::string_view path,
               const PermissionList* before) {
  if (request.transaction != nullptr) return touch(state, request, path, Touch::fire_subtree);
  const Lookup now = state.tree.find(path);
  state.charge_write(request);
  state.fire(path, Reach::subtree, now.node->permissions.get(), now.parent->permissions.get(),
             before, request.cause);
  return {};
}

}  // namespace

Status do_read(State& state, const Request& request) {
  const auto given = request.payload.only_string();
  if (!given) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::read, Touch::value);
  if (!found) return std::unexpected(found.error());
  ++state.counters.reads;
  state.answer(request, found->node->value());
  return {};
}

Status do_write(State& state, const Request& request) {
  std::size_t offset = 0;
  const auto given = request.payload.next_string(offset);
  if (!given) return std::unexpected(Error::inval);
  const std::string_view value = request.payload.all().substr(offset);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::write, 0);
  if (!found && found.error() != Error::noent) return std::unexpected(found.error());
  if (!found) {
    if (const Status status = create(state, request, *path, value); !status) return status;
  } else {
    const Node& node = *found->node;
    if (!fits(state, request, value.size(), node.permissions->entries.size(),
              node.listing_bytes())) {
      return std::unexpected(Error::nospc);
    }
    if (value.size() > node.value_length) {
      const auto growth = static_cast<std::int64_t>(value.size() - node.value_length);
      if (!state.machine_may_grow("WRITE")) return std::unexpected(Error::nospc);
      if (!state.may_grow(request.client, growth, "WRITE")) return std::unexpected(Error::nomem);
    }
    if (const Status status = touch(state, request, *path, Touch::wrote_value); !status) {
      return status;
    }
    const std::size_t bytes_before = state.heap.bytes();
    writable_tree(state, request).set_value(*path, value, ++state.generation);
    charge_view(state, request, bytes_before);
  }
  if (const Status status = changed(state, request, *path, nullptr); !status) return status;
  ++state.counters.writes;
  state.acknowledge(request);
  return {};
}

Status do_mkdir(State& state, const Request& request) {
  const auto given = request.payload.only_string();
  if (!given) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::write, 0);
  if (!found) {
    if (found.error() != Error::noent) return std::unexpected(found.error());
    if (const Status status = create(state, request, *path, {}); !status) return status;
    if (const Status status = changed(state, request, *path, nullptr); !status) return status;
    ++state.counters.writes;
  }
  state.acknowledge(request);
  return {};
}

namespace {

// Records a removal in the transaction: events for every node, in the order of the walk.
Status record_removal(State& state, const Request& request, std::string_view path,
                      const Lookup& found) {
  std::vector<std::pair<DomId, std::int64_t>> gone;
  std::optional<Error> refused;
  walk(
      *found.node, *found.parent, std::string(path),
      [&](const Visit& visit) {
        if (refused) return false;
        const Status status = touch(state, request, visit.path, Touch::fire_exact);
        if (!status) refused = status.error();
        add_nodes(gone, visit.node.permissions->owner(), -1);
        return status.has_value();
      },
      [](const Visit&) {});
  if (refused) return std::unexpected(*refused);
  request.transaction->touch(path, Touch::removed | Touch::fire_subtree);
  for (const auto& [owner, change] : gone)
    add_nodes(request.transaction->owned, owner, change);
  return {};
}

}  // namespace

Status do_rm(State& state, const Request& request) {
  const auto given = request.payload.only_string();
  if (!given) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::write, 0);
  if (!found) {
    if (found.error() != Error::noent) return std::unexpected(found.error());
    // Gone already is fine, if the parent is there.
    const std::string_view parent = parent_path(*path);
    if (const Status status = touch(state, request, parent, Touch::existence); !status) {
      return status;
    }
    if (tree_of(state, request).find(parent).node == nullptr) return std::unexpected(Error::noent);
    state.acknowledge(request);
    return {};
  }
  if (*path == "/") return std::unexpected(Error::inval);
  if (request.transaction != nullptr) {
    if (const Status status = record_removal(state, request, *path, *found); !status) {
      return status;
    }
    const std::size_t bytes_before = state.heap.bytes();
    request.transaction->view.erase(*path, ++state.generation);
    charge_view(state, request, bytes_before);
  } else {
    state.charge_write(request);
    state.remove_subtree(*path, request.cause);
  }
  ++state.counters.writes;
  state.acknowledge(request);
  return {};
}

Status do_get_perms(State& state, const Request& request) {
  const auto given = request.payload.only_string();
  if (!given) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, true);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::read, Touch::permissions);
  if (!found) return std::unexpected(found.error());
  std::string text;
  append_permissions(text, found->node->permissions->entries);
  if (text.size() > kPayloadMax) return std::unexpected(Error::toobig);
  ++state.counters.reads;
  state.answer(request, text);
  return {};
}

Status do_set_perms(State& state, const Request& request) {
  std::size_t offset = 0;
  const auto given = request.payload.next_string(offset);
  if (!given) return std::unexpected(Error::inval);
  std::vector<std::string_view> texts;
  while (const auto text = request.payload.next_string(offset))
    texts.push_back(*text);
  if (texts.empty()) return std::unexpected(Error::inval);
  // Counted before they are looked at, as in C xenstored.
  if (!request.client.privileged() && texts.size() > state.options.quotas.permissions) {
    state.refuse(request.client, &Quotas::permissions, "SET_PERMS");
    return std::unexpected(Error::nospc);
  }
  std::vector<Permission> entries;
  for (const std::string_view text : texts) {
    const auto entry = parse_permission(text);
    if (!entry) return std::unexpected(Error::inval);
    entries.push_back(*entry);
  }
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, true);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::write | Access::owner, 0);
  if (!found) return std::unexpected(found.error());
  const Node& node = *found->node;
  const PermissionRef before = node.permissions;
  if (!request.client.privileged() && entries.front().domid != before->owner()) {
    return std::unexpected(Error::perm);
  }
  if (!fits(state, request, node.value_length, entries.size(), node.listing_bytes())) {
    return std::unexpected(Error::nospc);
  }
  if (!state.machine_may_grow("SET_PERMS")) return std::unexpected(Error::nospc);
  if (const Status status = touch(state, request, *path, Touch::wrote_permissions); !status) {
    return status;
  }
  const PermissionRef after = state.permissions.intern(entries);
  ++state.generation;
  const std::size_t bytes_before = state.heap.bytes();
  writable_tree(state, request).set_permissions(*path, after);
  if (request.transaction != nullptr) {
    add_nodes(request.transaction->owned, before->owner(), -1);
    add_nodes(request.transaction->owned, after->owner(), 1);
  }
  charge_view(state, request, bytes_before);
  // An event on a special node would say that a domain came or went.
  if (!path->starts_with('@')) {
    if (const Status status = changed(state, request, *path, before.get()); !status) return status;
  }
  ++state.counters.writes;
  state.acknowledge(request);
  return {};
}

}  // namespace ppvmm::store

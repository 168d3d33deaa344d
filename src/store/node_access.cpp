#include "store/node_access.hpp"

#include "store/path.hpp"

namespace ppvmm::store {
namespace {

/// Nothing is said to be missing before all that led there is known to be as it was stored: where
/// the search turned, and the permissions of the nearest ancestor.
bool absence_certain(State& state, const Request& request, std::string_view path,
                     const Lookup& found) {
  const Tree& tree = tree_of(state, request);
  if (found.nearest != tree.anchor() && !found.nearest->intact()) return false;
  Components components(path);
  while (!components.done()) {
    const std::string_view name = components.next();
    if (components.consumed() > found.nearest_length) {
      return search_intact(found.nearest->children, name);
    }
  }
  return true;
}

}  // namespace

std::uint8_t access_for(const Connection& client, const PermissionList& list) {
  return client.privileged() ? Access::all : access_of(list, client.domid, client.target);
}

Status touch(State& state, const Request& request, std::string_view path, std::uint16_t flags) {
  Transaction* const transaction = request.transaction;
  if (transaction == nullptr) return {};
  if (transaction->find(path) == nullptr) {
    const std::string_view operation = message_name(request.header.type);
    const auto bytes = static_cast<std::int64_t>(sizeof(AccessRecord) + path.size());
    if (!request.client.privileged() &&
        transaction->records.size() >= state.options.quotas.transaction_nodes) {
      state.refuse(request.client, &Quotas::transaction_nodes, operation);
      return std::unexpected(Error::nospc);
    }
    if (!state.may_grow(request.client, bytes, operation)) return std::unexpected(Error::nomem);
    state.charge(request.client, bytes);
    state.buffers.transactions += bytes;
    transaction->charge += bytes;
    transaction->records_charge += bytes;
  }
  transaction->touch(path, flags);
  return {};
}

void charge_view(State& state, const Request& request, std::size_t bytes_before) {
  if (request.transaction == nullptr) return;
  const auto growth =
      static_cast<std::int64_t>(state.heap.bytes()) - static_cast<std::int64_t>(bytes_before);
  state.charge(request.client, growth);
  request.transaction->charge += growth;
}

std::expected<Lookup, Error> open_node(State& state, const Request& request, std::string_view path,
                                       std::uint8_t need, std::uint16_t looked_at) {
  const Lookup found = tree_of(state, request).find(path);
  // The privileged may do everything, so their result does not depend on permissions.
  const std::uint16_t rights = request.client.privileged() ? 0 : Touch::permissions;
  const auto flags = static_cast<std::uint16_t>(looked_at | Touch::existence | rights);
  if (found.node != nullptr) {
    if (const Status status = touch(state, request, path, flags); !status) {
      return std::unexpected(status.error());
    }
    if (!found.node->intact()) {
      state.note_corruption(path);
      return std::unexpected(Error::io);
    }
    if ((access_for(request.client, *found.node->permissions) & need) != need) {
      return std::unexpected(Error::acces);
    }
    return found;
  }
  if (!absence_certain(state, request, path, found)) {
    state.note_corruption(path);
    return std::unexpected(Error::io);
  }
  // Everyone's answer depends on the absence; for the unprivileged also on which ancestor is the
  // nearest and what it allows.
  std::string_view ancestor = path.substr(0, found.nearest_length);
  const Node* nearest = found.nearest;
  if (ancestor.empty()) {
    ancestor = "/";
    nearest = tree_of(state, request).find(ancestor).node;
  }
  std::string_view absent = path;
  if (!request.client.privileged() && path.starts_with('/')) {
    Components components(path);
    do {
      (void)components.next();
    } while (components.consumed() <= found.nearest_length);
    absent = path.substr(0, components.consumed());
    if (const Status status = touch(state, request, ancestor, Touch::permissions); !status) {
      return std::unexpected(status.error());
    }
  }
  if (const Status status = touch(state, request, absent, Touch::existence); !status) {
    return std::unexpected(status.error());
  }
  const bool may_know = (access_for(request.client, *nearest->permissions) & need) != 0;
  return std::unexpected(may_know ? Error::noent : Error::acces);
}

}  // namespace ppvmm::store

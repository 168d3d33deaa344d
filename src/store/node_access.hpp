/// What all node operations share: finding a node, checking rights, and recording both in the
/// transaction, if there is one.
#pragma once

#include "store/requests.hpp"

namespace ppvmm::store {

/// The tree that a request sees.
[[nodiscard]] inline const Tree& tree_of(const State& state, const Request& request) {
  return request.transaction != nullptr ? request.transaction->view : state.tree;
}

/// What a client may do with a node that has this list: everything, if it is privileged.
[[nodiscard]] std::uint8_t access_for(const Connection& client, const PermissionList& list);

/// Records what the request's transaction did with `path`; outside of one does nothing. ENOSPC when
/// the transaction touches too many nodes, ENOMEM when its domain uses too much memory.
[[nodiscard]] Status touch(State& state, const Request& request, std::string_view path,
                           std::uint16_t flags);

/// The node at `path`, if the client has all rights in `need` on it. `looked_at` (Touch bits) is
/// what the operation will look at or change beside existence and permissions.
/// ENOENT: no such node, and the client has one of the rights on the nearest ancestor, so it may
/// know. EACCES: it may not. EIO: the node is corrupt.
[[nodiscard]] std::expected<Lookup, Error> open_node(State& state, const Request& request,
                                                     std::string_view path, std::uint8_t need,
                                                     std::uint16_t looked_at);

/// Charges a transaction's domain for what its view grew since `bytes_before` (NodeHeap::bytes()).
void charge_view(State& state, const Request& request, std::size_t bytes_before);

}  // namespace ppvmm::store

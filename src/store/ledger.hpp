/// Keeps the sums over the committed tree that must never cost a walk: its digest, the number of
/// its nodes, and what each domain owns.
#pragma once

#include <cstdint>
#include <string_view>

#include "store/domain.hpp"
#include "store/node.hpp"

namespace ppvmm::store {

/// The digest is a sum over nodes, hence independent of order and of the shape of search trees:
///   sum over nodes n of  value_part(n) + permission_hash(n) * path_part(n)   (mod 2^64).
/// The permission lists keep sum path_part(n) of their nodes (PermissionList::weight), so that
/// changing a list that a hundred thousand nodes share moves the digest in one step.
class Ledger {
 public:
  explicit Ledger(DomainTable& domains) : domains_(domains) {}

  void added(std::string_view path, const Node& node);
  void removed(std::string_view path, const Node& node);
  /// A list is about to change (before) and has changed (after), for all its nodes at once.
  void before_change(const PermissionList& list) { digest_ -= list.weight * list.hash; }
  void after_change(const PermissionList& list) { digest_ += list.weight * list.hash; }

  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  [[nodiscard]] std::uint64_t nodes() const { return nodes_; }
  /// Bytes of all paths. A dump holds every node's whole path, which deep trees of short names make
  /// much larger than the nodes themselves; so the memory limit counts them.
  [[nodiscard]] std::int64_t path_bytes() const { return path_bytes_; }
  /// Bytes a node counts for in its owner's memory.
  [[nodiscard]] static std::int64_t charge(const Node& node);

 private:
  DomainTable& domains_;
  std::uint64_t digest_{};
  std::uint64_t nodes_{};
  std::int64_t path_bytes_{};
};

}  // namespace ppvmm::store

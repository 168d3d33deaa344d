/// A transaction: a snapshot, a private view, and the record of what was looked at and changed.
///
/// The rule is serialisability at the moment of the end: if everything the transaction looked at is
/// still as in its snapshot, its changes are made to the committed tree as if the whole of it had
/// run just now. Creating different children of one parent does not conflict, and neither does
/// overwriting a value without reading it. Worked examples: docs/xenstore-protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/pointer_table.hpp"
#include "store/tree.hpp"
#include "store/watch_table.hpp"

namespace ppvmm::store {

/// What a transaction did with one path. Bits of AccessRecord::flags.
struct Touch {
  // Looked at: must be unchanged at the end. Each of these includes whether the node exists.
  static constexpr std::uint16_t existence = 1;
  static constexpr std::uint16_t value = 2;
  static constexpr std::uint16_t permissions = 4;
  static constexpr std::uint16_t children = 8;
  static constexpr std::uint16_t any_read = existence | value | permissions | children;
  // Changed.
  static constexpr std::uint16_t wrote_value = 16;
  static constexpr std::uint16_t wrote_permissions = 32;
  static constexpr std::uint16_t created = 64;
  static constexpr std::uint16_t removed = 128;  ///< With all below, at some time.
  static constexpr std::uint16_t any_write = wrote_value | wrote_permissions | created | removed;
  // Events due at the end.
  static constexpr std::uint16_t fire_exact = 256;
  static constexpr std::uint16_t fire_subtree = 512;
  static constexpr std::uint16_t any_change = any_write | fire_exact | fire_subtree;
};

struct AccessRecord {
  std::string path;
  std::uint16_t flags{};
  PermissionRef
      original;  ///< Permissions before the first change; empty if the node was not there.
};

struct Transaction {
  Transaction(std::uint32_t number, NodeHeap& heap, const Tree& committed)
      : id(number), base(committed.snapshot()), view(heap, base) {}

  /// The record of `path`, made if there is none.
  AccessRecord& touch(std::string_view path, std::uint16_t flags);
  [[nodiscard]] const AccessRecord* find(std::string_view path) const;
  /// Whether something the transaction looked at is no more what it was.
  [[nodiscard]] bool conflicts_with(const Tree& committed) const;
  /// How many nodes each owner would gain (or lose) if the transaction were merged now.
  [[nodiscard]] std::vector<std::pair<DomId, std::int64_t>> node_changes(
      const Tree& committed) const;
  /// Makes the changes in `committed`. Paths of nodes that went with a removed ancestor although
  /// the transaction never saw them are appended to `unseen`, with the permissions they had.
  void merge_into(Tree& committed, std::uint64_t generation,
                  std::vector<AccessRecord>& unseen) const;

  std::uint32_t id{};                                  ///< Within its connection; never 0.
  Snapshot base;                                       ///< The committed tree when it started.
  Tree view;                                           ///< The same with its own changes.
  std::vector<std::unique_ptr<AccessRecord>> records;  ///< In order of first touch.
  std::vector<std::pair<DomId, std::int64_t>> owned;   ///< Nodes gained per owner in the view.
  std::int64_t charge{};                               ///< Bytes counted for its domain's memory.
  std::int64_t records_charge{};  ///< The part of `charge` that is not nodes of the view.
  bool doomed{};                  ///< It cannot commit: its end answers EAGAIN.

 private:
  // Whether a proper ancestor of `path` was removed at some time.
  [[nodiscard]] bool went_with_ancestor(std::string_view path) const;
  // Creates `path` in `committed` as it is in the view, with whatever ancestors are missing.
  void recreate(Tree& committed, std::string_view path, std::uint64_t generation) const;

  PointerTable<AccessRecord> index_;
};

/// Adds `change` to the entry of `domid`.
void add_nodes(std::vector<std::pair<DomId, std::int64_t>>& counts, DomId domid,
               std::int64_t change);

}  // namespace ppvmm::store

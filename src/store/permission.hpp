/// Who may do what with a node. Spec: xenstore.txt, "Permissions".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/pointer_table.hpp"
#include "store/types.hpp"

namespace ppvmm::store {

/// Rights as bits. `owner` is never written in an entry: it comes with being the first one.
struct Access {
  static constexpr std::uint8_t none = 0;
  static constexpr std::uint8_t read = 1;
  static constexpr std::uint8_t write = 2;
  static constexpr std::uint8_t owner = 4;
  static constexpr std::uint8_t all = read | write | owner;
};

struct Permission {
  DomId domid{};
  std::uint8_t access{};  ///< Access::read and Access::write; in the first entry: for all others.

  friend bool operator==(const Permission&, const Permission&) = default;
};

class PermissionTable;

/// A permission list, shared by all nodes that have it. The first entry names the owner and gives
/// the rights of every domain that no later entry names.
struct PermissionList {
  std::vector<Permission> entries;  ///< Never empty.
  PermissionTable* table{};
  std::uint32_t references{};
  bool shared{};           ///< In the table's index, so equal lists find it.
  std::uint64_t tag{};     ///< Names the list for its life: what a node's checksum covers.
  std::uint64_t hash{};    ///< Of the entries.
  std::uint64_t weight{};  ///< Sum over committed nodes that have this list; see Ledger.

  [[nodiscard]] DomId owner() const { return entries.front().domid; }
  /// Whether the list is what was stored: entries against `hash`.
  [[nodiscard]] bool intact() const;
};

/// Shared ownership of a list. Empty when default-constructed or moved from.
class PermissionRef {
 public:
  PermissionRef() = default;
  explicit PermissionRef(PermissionList* list) : list_(list) {
    if (list_ != nullptr) ++list_->references;
  }
  PermissionRef(const PermissionRef& other) : PermissionRef(other.list_) {}
  PermissionRef(PermissionRef&& other) noexcept : list_(std::exchange(other.list_, nullptr)) {}
  PermissionRef& operator=(PermissionRef other) noexcept {
    std::swap(list_, other.list_);
    return *this;
  }
  ~PermissionRef() {
    if (list_ != nullptr) release();
  }

  [[nodiscard]] PermissionList* get() const { return list_; }
  PermissionList* operator->() const { return list_; }
  PermissionList& operator*() const { return *list_; }
  explicit operator bool() const { return list_ != nullptr; }
  /// Whether both give the same rights. Lists that became equal when a domain's rights were
  /// withdrawn are two objects, and still equal.
  friend bool operator==(const PermissionRef& one, const PermissionRef& other) {
    if (one.list_ == other.list_) return true;
    return one.list_ != nullptr && other.list_ != nullptr && one.list_->hash == other.list_->hash &&
           one.list_->entries == other.list_->entries;
  }

 private:
  void release();

  PermissionList* list_{};
};

/// All lists in use. Equal lists are one object, so comparing two is comparing pointers, and the
/// rights given to a domain that dies are withdrawn everywhere by changing a handful of lists.
class PermissionTable {
 public:
  /// The list with these entries. `entries` is not empty.
  [[nodiscard]] PermissionRef intern(std::span<const Permission> entries);
  /// Lists that name `domid` behind the first entry, in the order in which they were made.
  [[nodiscard]] std::vector<PermissionList*> naming(DomId domid) const;
  /// Takes all entries of `domid` behind the first out of `list`, for all who share it.
  void withdraw(PermissionList& list, DomId domid);
  /// Domains named by any list in use.
  [[nodiscard]] std::vector<DomId> named() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend class PermissionRef;
  void destroy(PermissionList* list);

  PointerTable<PermissionList> index_;
  std::vector<PermissionList*> lists_;  // by age
  std::uint64_t next_tag_{1};
};

/// What a connection may do with a node that has this list. `target` is the domain it also acts
/// for (SET_TARGET).
[[nodiscard]] std::uint8_t access_of(const PermissionList& list, DomId domid,
                                     std::optional<DomId> target);

/// "r5", "n0" … NUL-terminated each: the wire's form.
void append_permissions(std::string& out, std::span<const Permission> entries);
/// One entry ("b7", without the NUL): nothing if it is malformed.
[[nodiscard]] std::optional<Permission> parse_permission(std::string_view text);

}  // namespace ppvmm::store

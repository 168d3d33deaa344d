#include "store/permission.hpp"

#include <algorithm>

#include "store/digest.hpp"
#include "store/path.hpp"

namespace ppvmm::store {
namespace {

std::uint64_t hash_of(std::span<const Permission> entries) {
  // Through integers: Permission has padding, whose bytes are nobody's.
  std::uint64_t hash = entries.size();
  for (const Permission& entry : entries) {
    const std::uint32_t word = std::uint32_t{entry.domid} << 8 | entry.access;
    hash = digest(&word, sizeof(word), hash);
  }
  return hash;
}

}  // namespace

bool PermissionList::intact() const {
  return !entries.empty() && hash == hash_of(entries);
}

void PermissionRef::release() {
  if (--list_->references == 0) list_->table->destroy(list_);
}

PermissionRef PermissionTable::intern(std::span<const Permission> entries) {
  const std::uint64_t hash = hash_of(entries);
  PermissionList* found = index_.find(hash, [&](const PermissionList& list) {
    return std::equal(list.entries.begin(), list.entries.end(), entries.begin(), entries.end());
  });
  if (found != nullptr) return PermissionRef(found);
  auto* list = new PermissionList{.entries = {entries.begin(), entries.end()},
                                  .table = this,
                                  .references = 0,
                                  .shared = true,
                                  .tag = next_tag_++,
                                  .hash = hash,
                                  .weight = 0};
  index_.insert(hash, list);
  lists_.push_back(list);
  return PermissionRef(list);
}

void PermissionTable::destroy(PermissionList* list) {
  if (list->shared) index_.erase(list->hash, list);
  // Tags rise with age, so the list is found by bisection.
  const auto at = std::lower_bound(
      lists_.begin(), lists_.end(), list->tag,
      [](const PermissionList* candidate, std::uint64_t tag) { return candidate->tag < tag; });
  lists_.erase(at);
  delete list;
}

std::vector<PermissionList*> PermissionTable::naming(DomId domid) const {
  std::vector<PermissionList*> found;
  for (PermissionList* list : lists_) {
    if (std::any_of(list->entries.begin() + 1, list->entries.end(),
                    [&](const Permission& entry) { return entry.domid == domid; })) {
      found.push_back(list);
    }
  }
  return found;
}

void PermissionTable::withdraw(PermissionList& list, DomId domid) {
  if (list.shared) index_.erase(list.hash, &list);
  list.entries.erase(std::remove_if(list.entries.begin() + 1, list.entries.end(),
                                    [&](const Permission& entry) { return entry.domid == domid; }),
                     list.entries.end());
  list.hash = hash_of(list.entries);
  // An equal list may be there already; then this one lives on beside it, unshared.
  const PermissionList* twin = index_.find(
      list.hash, [&](const PermissionList& other) { return other.entries == list.entries; });
  list.shared = twin == nullptr;
  if (list.shared) index_.insert(list.hash, &list);
}

std::vector<DomId> PermissionTable::named() const {
  std::vector<DomId> domids;
  for (const PermissionList* list : lists_) {
    for (const Permission& entry : list->entries)
      domids.push_back(entry.domid);
  }
  std::sort(domids.begin(), domids.end());
  domids.erase(std::unique(domids.begin(), domids.end()), domids.end());
  return domids;
}

std::size_t PermissionTable::bytes() const {
  std::size_t bytes = index_.bytes() + lists_.capacity() * sizeof(PermissionList*);
  for (const PermissionList* list : lists_) {
    bytes += sizeof(PermissionList) + list->entries.capacity() * sizeof(Permission);
  }
  return bytes;
}

std::uint8_t access_of(const PermissionList& list, DomId domid, std::optional<DomId> target) {
  const auto concerns = [&](const Permission& entry) {
    return entry.domid == domid || (target && entry.domid == *target);
  };
  const Permission& first = list.entries.front();
  if (concerns(first)) return Access::all;
  for (std::size_t i = 1; i < list.entries.size(); ++i) {
    if (concerns(list.entries[i])) return list.entries[i].access;
  }
  return first.access;
}

void append_permissions(std::string& out, std::span<const Permission> entries) {
  static constexpr char kLetters[] = {'n', 'r', 'w', 'b'};
  for (const Permission& entry : entries) {
    out += kLetters[entry.access & 3];
    out += std::to_string(entry.domid);
    out += '\0';
  }
}

std::optional<Permission> parse_permission(std::string_view text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::string_view kLetters = "nrwb";
  const std::size_t access = kLetters.find(text[0]);
  const auto domid = parse_domid(text.substr(1));
  if (access == std::string_view::npos || !domid) return std::nullopt;
  return Permission{*domid, static_cast<std::uint8_t>(access)};
}

}  // namespace ppvmm::store

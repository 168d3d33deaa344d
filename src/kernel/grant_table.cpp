#include "kernel/grant_table.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "abi/hypercall.hpp"
#include "kernel/bit_pool.hpp"
#include "kernel/grant_window.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::grants::table {
namespace {

constexpr std::uint32_t kPerPage = kPage / sizeof(grant_entry_v1_t);
constexpr std::uint32_t kRefs = window::kTablePages * kPerPage;
/// Pages mapped from the start; the rest follows when it is needed.
constexpr std::uint32_t kFirstPages = 4;

BitPool<kRefs> free_refs;
std::uint32_t pages = 0;  ///< Of the table, mapped.
std::uint32_t given_count = 0;
std::uint32_t stuck_count = 0;

Address page_address(std::uint32_t page) {
  return window::address_of_slot(window::kSlots + page);
}

grant_entry_v1_t* entries() {
  return at<grant_entry_v1_t>(page_address(0));
}

bool map_pages(std::uint32_t count) {
  static std::array<xen_pfn_t, window::kTablePages> frames;
  gnttab_setup_table_t request{};
  request.dom = DOMID_SELF;
  request.nr_frames = count;
  set_xen_guest_handle(request.frame_list, frames.data());
  if (abi::grant_table_op(GNTTABOP_setup_table, std::span{&request, 1}) != 0 ||
      request.status != GNTST_okay) {
    return false;
  }
  for (std::uint32_t page = pages; page < count; ++page) {
    constexpr std::uint64_t kFlags = paging::kPresent | paging::kWritable | paging::kNoExecute;
    if (abi::update_va_mapping(page_address(page), frames[page] * kPage | kFlags) != 0) {
      return false;
    }
  }
  pages = count;
  return true;
}

void free_new_refs(std::uint32_t from_page) {
  const GrantRef first = std::max<GrantRef>(from_page * kPerPage, GNTTAB_NR_RESERVED_ENTRIES);
  free_refs.give_range(first, pages * kPerPage - first);
}

void write(GrantRef ref, DomId domid, std::uint64_t pfn, Access access) {
  grant_entry_v1_t& one = entries()[ref];
  one.frame = static_cast<std::uint32_t>(paging::machine_frame(pfn));
  one.domid = domid;
  // The flags make it valid, so they come last (grant_table.h, "Introducing a valid entry").
  const auto flags = static_cast<std::uint16_t>(GTF_permit_access |
                                                (access == Access::read_only ? GTF_readonly : 0));
  __atomic_store_n(&one.flags, flags, __ATOMIC_RELEASE);
  ++given_count;
}

/// References that survivors speak of.
void note_kept(BitPool<kRefs>& kept) {
  vitals::survivors().for_each([&](const abi::Survivor& entry) {
    if (entry.kind == abi::SurvivorKind::granted) kept.give(entry.id);
    if (entry.kind != abi::SurvivorKind::granted_run || entry.id >= kRefs) return;
    kept.give_range(entry.id, std::min(entry.peer, kRefs - entry.id));
  });
}

void find_again() {
  while (pages < window::kTablePages &&
         (paging::entry_of(page_address(pages)) & paging::kPresent) != 0) {
    ++pages;
  }
  static BitPool<kRefs> kept;
  note_kept(kept);
  for (GrantRef ref = GNTTAB_NR_RESERVED_ENTRIES; ref < pages * kPerPage; ++ref) {
    if (entries()[ref].flags == 0) {
      free_refs.give(ref);
      continue;
    }
    ++given_count;
    if (!kept.is_free(ref) && !take_back(ref)) ++stuck_count;
  }
}

}  // namespace

std::expected<GrantRef, Error> give(DomId domid, std::uint64_t pfn, Access access) {
  auto ref = free_refs.take();
  if (!ref && reach((pages + 1) * kPerPage)) ref = free_refs.take();
  if (!ref) return std::unexpected(Error::no_space);
  write(*ref, domid, pfn, access);
  return *ref;
}

std::expected<void, Error> give_as(GrantRef ref, DomId domid, std::uint64_t pfn) {
  if (!free_refs.claim(ref)) return std::unexpected(Error::no_space);
  write(ref, domid, pfn, Access::read_write);
  return {};
}

bool reach(GrantRef end) {
  const std::uint32_t needed = (end + kPerPage - 1) / kPerPage;
  if (needed <= pages) return true;
  if (needed > window::kTablePages) return false;
  const std::uint32_t before = pages;
  if (!map_pages(needed)) return false;
  free_new_refs(before);
  return true;
}

bool take_back(GrantRef ref) {
  if (ref < GNTTAB_NR_RESERVED_ENTRIES || ref >= pages * kPerPage) return false;
  grant_entry_v1_t& one = entries()[ref];
  std::uint16_t flags = __atomic_load_n(&one.flags, __ATOMIC_ACQUIRE);
  if (flags == 0) return false;
  do {
    if ((flags & (GTF_reading | GTF_writing)) != 0) return false;
  } while (!__atomic_compare_exchange_n(&one.flags, &flags, 0, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE));
  free_refs.give(ref);
  --given_count;
  return true;
}

std::optional<Entry> entry(GrantRef ref) {
  if (ref >= pages * kPerPage || entries()[ref].flags == 0) return std::nullopt;
  const grant_entry_v1_t& one = entries()[ref];
  return Entry{one.domid, one.flags, one.frame};
}

std::uint32_t given() {
  return given_count;
}

std::uint32_t stuck() {
  return stuck_count;
}

void set_up(bool reborn) {
  if (reborn) {
    find_again();
    return;
  }
  if (!map_pages(kFirstPages)) panic("grant table refused");
  // Entries below are in use from the start: the domain builder's (console, XenStore).
  free_new_refs(0);
}

}  // namespace ppvmm::kernel::grants::table

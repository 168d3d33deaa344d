#include "kernel/grants.hpp"

#include <array>
#include <span>
#include <utility>

#include "abi/hypercall.hpp"
#include "kernel/layout.hpp"
#include "kernel/paging.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::grants {
namespace {

/// The last pages of the window show our own grant table.
constexpr std::uint32_t kTablePages = 4;
constexpr std::uint32_t kRecords = paging::kGrantSlots - kTablePages;
constexpr std::uint32_t kRefs = kTablePages * kPage / sizeof(grant_entry_v1_t);

/// One mapping. Record n also stands for slot n of the window. Kept over microreboots, so that the
/// next incarnation can unmap what this one had mapped.
struct Record {
  std::uint32_t handle_and_one;  ///< 0: unused.
  std::uint32_t own_frame;       ///< Frame it is mapped over; 0: mapped in the window.
};
static_assert(sizeof(Record) == 8);

}  // namespace
}  // namespace ppvmm::kernel::grants

extern "C" std::byte ppvmm_grant_records[];

namespace ppvmm::kernel::grants {
namespace {

std::span<Record, paging::kGrantSlots> records() {
  return std::span<Record, paging::kGrantSlots>(reinterpret_cast<Record*>(&ppvmm_grant_records[0]),
                                                paging::kGrantSlots);
}

grant_entry_v1_t* table() {
  return at<grant_entry_v1_t>(paging::kGrantWindow + std::uint64_t{kRecords} * kPage);
}

/// Free records and references, most recently freed first.
std::array<std::uint32_t, kRecords> free_records;
std::uint32_t free_record_count = 0;
std::array<GrantRef, kRefs> free_refs;
std::uint32_t free_ref_count = 0;
std::uint32_t stuck = 0;

Address slot_address(std::uint32_t record) {
  const std::uint32_t own_frame = records()[record].own_frame;
  return own_frame != 0 ? frame_address(own_frame)
                        : paging::kGrantWindow + std::uint64_t{record} * kPage;
}

Error error_of(std::int16_t status) {
  switch (status) {
    case GNTST_bad_domain:
    case GNTST_bad_gntref:
    case GNTST_permission_denied:
      return Error::bad_grant;
    case GNTST_no_device_space:
      return Error::no_space;
    case GNTST_bad_virt_addr:
      return Error::bad_page;
    default:
      return Error::other;
  }
}

std::expected<std::uint32_t, Error> map_at(std::uint32_t own_frame, DomId domid, GrantRef ref,
                                           Access access) {
  if (free_record_count == 0) return std::unexpected(Error::no_space);
  const std::uint32_t record = free_records[free_record_count - 1];
  records()[record].own_frame = own_frame;
  // Xen replaces the entry without a TLB flush, so an own page must be gone from the TLB before.
  if (own_frame != 0 && abi::update_va_mapping(slot_address(record), 0) != 0) {
    return std::unexpected(Error::bad_page);
  }
  gnttab_map_grant_ref_t request{};
  request.host_addr = slot_address(record);
  request.flags = GNTMAP_host_map | (access == Access::read_only ? GNTMAP_readonly : 0u);
  request.ref = ref;
  request.dom = domid;
  const bool asked = abi::grant_table_op(GNTTABOP_map_grant_ref, std::span{&request, 1}) == 0;
  if (!asked || request.status != GNTST_okay) {
    if (own_frame != 0) paging::restore_page(slot_address(record));
    return std::unexpected(asked ? error_of(request.status) : Error::other);
  }
  records()[record].handle_and_one = request.handle + 1;
  --free_record_count;
  return record;
}

/// False if Xen refused; the slot is then lost.
bool unmap_record(std::uint32_t record) {
  Record& entry = records()[record];
  gnttab_unmap_grant_ref_t request{};
  request.host_addr = slot_address(record);
  request.handle = entry.handle_and_one - 1;
  const bool done = abi::grant_table_op(GNTTABOP_unmap_grant_ref, std::span{&request, 1}) == 0 &&
                    request.status == GNTST_okay;
  if (done) {
    if (entry.own_frame != 0) paging::restore_page(slot_address(record));
    entry = {};
  }
  return done;
}

void free_record(std::uint32_t record) {
  free_records[free_record_count++] = record;
}

bool is_surviving_mapping(Address address) {
  bool found = false;
  vitals::survivors().for_each([&](const abi::Survivor& entry) {
    found = found || (entry.kind == abi::SurvivorKind::mapping && entry.where == address);
  });
  return found;
}

bool is_surviving_grant(GrantRef ref) {
  bool found = false;
  vitals::survivors().for_each([&](const abi::Survivor& entry) {
    found = found || (entry.kind == abi::SurvivorKind::granted && entry.id == ref);
  });
  return found;
}

void map_own_table() {
  std::array<xen_pfn_t, kTablePages> frames{};
  gnttab_setup_table_t request{};
  request.dom = DOMID_SELF;
  request.nr_frames = kTablePages;
  set_xen_guest_handle(request.frame_list, frames.data());
  if (abi::grant_table_op(GNTTABOP_setup_table, std::span{&request, 1}) != 0 ||
      request.status != GNTST_okay) {
    panic("grant table refused");
  }
  for (std::uint32_t i = 0; i < kTablePages; ++i) {
    const Address address = address_of(table()) + std::uint64_t{i} * kPage;
    constexpr std::uint64_t kFlags = paging::kPresent | paging::kWritable | paging::kNoExecute;
    if (abi::update_va_mapping(address, frames[i] * kPage | kFlags) != 0) {
      panic("grant table cannot be mapped");
    }
  }
}

void clear_up_mappings() {
  for (std::uint32_t record = kRecords; record-- > 0;) {
    if (records()[record].handle_and_one != 0) {
      if (is_surviving_mapping(slot_address(record))) continue;
      if (!unmap_record(record)) {
        ++stuck;
        continue;
      }
    } else if (records()[record].own_frame == 0 &&
               (paging::entry_of(slot_address(record)) & paging::kPresent) != 0) {
      ++stuck;  // died between Xen's mapping and our note of the handle
      continue;
    }
    free_record(record);
  }
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      record_(other.record_),
      domid_(other.domid_),
      ref_(other.ref_),
      tag_(std::exchange(other.tag_, std::nullopt)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    unmap();
    data_ = std::exchange(other.data_, nullptr);
    record_ = other.record_;
    domid_ = other.domid_;
    ref_ = other.ref_;
    tag_ = std::exchange(other.tag_, std::nullopt);
  }
  return *this;
}

void Mapping::unmap() {
  if (data_ == nullptr) return;
  if (unmap_record(record_)) {
    free_record(record_);
  } else {
    ++stuck;
  }
  // Last, so that dying in between leaves a survivor that points to nothing rather than a mapping
  // that nobody knows: survived() checks.
  if (tag_) vitals::survivors().remove(abi::SurvivorKind::mapping, *tag_);
  tag_.reset();
  data_ = nullptr;
}

bool Mapping::survive(std::uint32_t tag) {
  if (data_ == nullptr || tag_) return false;
  const bool added = vitals::survivors().add({.kind = abi::SurvivorKind::mapping,
                                              .domid = domid_,
                                              .tag = tag,
                                              .id = records()[record_].handle_and_one - 1,
                                              .peer = ref_,
                                              .where = address_of(data_),
                                              .sum = 0});
  if (added) tag_ = tag;
  return added;
}

std::expected<Mapping, Error> map(DomId domid, GrantRef ref, Access access) {
  const auto record = map_at(0, domid, ref, access);
  if (!record) return std::unexpected(record.error());
  return Mapping{at(slot_address(*record)), *record, domid, ref};
}

std::expected<Mapping, Error> map_over(std::byte* own_page, DomId domid, GrantRef ref,
                                       Access access) {
  const Address address = address_of(own_page);
  if (address % kPage != 0 || address < base()) return std::unexpected(Error::bad_page);
  const std::uint64_t frame = frame_of(address);
  if (frame < vitals::page().origin.first_heap_pfn || frame >= vitals::page().origin.nr_pages) {
    return std::unexpected(Error::bad_page);
  }
  const auto record = map_at(static_cast<std::uint32_t>(frame), domid, ref, access);
  if (!record) return std::unexpected(record.error());
  return Mapping{own_page, *record, domid, ref};
}

std::optional<Mapping> survived(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::mapping, tag);
  if (!entry) return std::nullopt;
  for (std::uint32_t record = 0; record < kRecords; ++record) {
    if (records()[record].handle_and_one == entry->id + 1 && slot_address(record) == entry->where) {
      Mapping mapping{at(entry->where), record, entry->domid, entry->peer};
      mapping.tag_ = tag;
      return mapping;
    }
  }
  vitals::survivors().remove(abi::SurvivorKind::mapping, tag);
  return std::nullopt;
}

std::expected<GrantRef, Error> grant(DomId domid, std::byte* page, Access access) {
  const Address address = address_of(page);
  if (address % kPage != 0 || address < base()) return std::unexpected(Error::bad_page);
  const std::uint64_t frame = frame_of(address);
  if (frame >= vitals::page().origin.nr_pages) return std::unexpected(Error::bad_page);
  if (free_ref_count == 0) return std::unexpected(Error::no_space);
  const GrantRef ref = free_refs[--free_ref_count];
  grant_entry_v1_t& entry = table()[ref];
  entry.frame = static_cast<std::uint32_t>(paging::machine_frame(frame));
  entry.domid = domid;
  // The flags make it valid, so they come last (grant_table.h, "Introducing a valid entry").
  const auto flags = static_cast<std::uint16_t>(GTF_permit_access |
                                                (access == Access::read_only ? GTF_readonly : 0));
  __atomic_store_n(&entry.flags, flags, __ATOMIC_RELEASE);
  return ref;
}

bool revoke(GrantRef ref) {
  if (ref < GNTTAB_NR_RESERVED_ENTRIES || ref >= kRefs) return false;
  grant_entry_v1_t& entry = table()[ref];
  std::uint16_t flags = __atomic_load_n(&entry.flags, __ATOMIC_ACQUIRE);
  if (flags == 0) return false;
  do {
    if ((flags & (GTF_reading | GTF_writing)) != 0) return false;
  } while (!__atomic_compare_exchange_n(&entry.flags, &flags, 0, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE));
  free_refs[free_ref_count++] = ref;
  return true;
}

bool survive(GrantRef ref, std::uint32_t tag) {
  if (ref >= kRefs || table()[ref].flags == 0) return false;
  return vitals::survivors().add({.kind = abi::SurvivorKind::granted,
                                  .domid = table()[ref].domid,
                                  .tag = tag,
                                  .id = ref,
                                  .peer = table()[ref].flags,
                                  .where = table()[ref].frame,
                                  .sum = 0});
}

std::optional<GrantRef> survived_grant(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::granted, tag);
  if (!entry) return std::nullopt;
  return entry->id;
}

Statistics statistics() {
  return {.mapped = kRecords - free_record_count - stuck,
          .granted = kRefs - GNTTAB_NR_RESERVED_ENTRIES - free_ref_count,
          .stuck = stuck};
}

void set_up(bool reborn) {
  if (!reborn) map_own_table();
  free_record_count = 0;
  if (reborn) {
    clear_up_mappings();
  } else {
    for (std::uint32_t record = kRecords; record-- > 0;)
      free_record(record);
  }
  free_ref_count = 0;
  for (GrantRef ref = kRefs; ref-- > GNTTAB_NR_RESERVED_ENTRIES;) {
    if (table()[ref].flags == 0) {
      free_refs[free_ref_count++] = ref;
    } else if (!is_surviving_grant(ref) && !revoke(ref)) {
      ++stuck;
    }
  }
}

}  // namespace ppvmm::kernel::grants

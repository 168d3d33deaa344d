#include "kernel/grants.hpp"

#include "kernel/grant_table.hpp"
#include "kernel/grant_window.hpp"
#include "kernel/layout.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::grants {
namespace {

/// The frame of an own page that may be granted or mapped over; nothing for any other address.
std::expected<std::uint64_t, Error> own_frame(const std::byte* page, std::uint64_t count = 1) {
  const Address address = address_of(page);
  if (address % kPage != 0 || address < base()) return std::unexpected(Error::bad_page);
  const std::uint64_t frame = frame_of(address);
  const std::uint64_t total = vitals::page().origin.nr_pages;
  if (frame >= total || count > total - frame) return std::unexpected(Error::bad_page);
  return frame;
}

}  // namespace

// --- One page

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      record_(other.record_),
      domid_(other.domid_),
      ref_(other.ref_),
      tag_(other.tag_) {
  other.tag_.reset();
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    unmap();
    data_ = std::exchange(other.data_, nullptr);
    record_ = other.record_;
    domid_ = other.domid_;
    ref_ = other.ref_;
    tag_ = other.tag_;
    other.tag_.reset();
  }
  return *this;
}

void Mapping::unmap() {
  if (data_ == nullptr) return;
  window::unmap(record_);
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
                                              .id = record_,
                                              .peer = ref_,
                                              .where = address_of(data_),
                                              .sum = 0});
  if (added) tag_ = tag;
  return added;
}

std::expected<Mapping, Error> map(DomId domid, GrantRef ref, Access access) {
  const auto slot = window::map(0, domid, ref, access);
  if (!slot) return std::unexpected(slot.error());
  return Mapping{at(window::address_of_slot(*slot)), *slot, domid, ref};
}

std::expected<Mapping, Error> map_over(std::byte* own_page, DomId domid, GrantRef ref,
                                       Access access) {
  const auto frame = own_frame(own_page);
  if (!frame || *frame < vitals::page().origin.first_heap_pfn) {
    return std::unexpected(Error::bad_page);
  }
  const auto slot = window::map(static_cast<std::uint32_t>(*frame), domid, ref, access);
  if (!slot) return std::unexpected(slot.error());
  return Mapping{own_page, *slot, domid, ref};
}

std::optional<Mapping> survived(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::mapping, tag);
  if (!entry) return std::nullopt;
  if (window::handle_and_one(entry->id) != 0 &&
      window::address_of_slot(entry->id) == entry->where) {
    Mapping mapping{at(entry->where), entry->id, entry->domid, entry->peer};
    mapping.tag_ = tag;
    return mapping;
  }
  vitals::survivors().remove(abi::SurvivorKind::mapping, tag);
  return std::nullopt;
}

std::expected<GrantRef, Error> grant(DomId domid, std::byte* page, Access access) {
  const auto frame = own_frame(page);
  if (!frame) return std::unexpected(frame.error());
  return table::give(domid, *frame, access);
}

bool revoke(GrantRef ref) {
  return table::take_back(ref);
}

bool survive(GrantRef ref, std::uint32_t tag) {
  const auto entry = table::entry(ref);
  if (!entry) return false;
  return vitals::survivors().add({.kind = abi::SurvivorKind::granted,
                                  .domid = entry->domid,
                                  .tag = tag,
                                  .id = ref,
                                  .peer = entry->flags,
                                  .where = entry->frame,
                                  .sum = 0});
}

std::optional<GrantRef> survived_grant(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::granted, tag);
  if (!entry) return std::nullopt;
  return entry->id;
}

// --- Runs

MappedRun& MappedRun::operator=(MappedRun&& other) noexcept {
  tag_ = other.tag_;
  domid_ = other.domid_;
  slot_ = other.slot_;
  first_ref_ = other.first_ref_;
  count_ = std::exchange(other.count_, 0);
  return *this;
}

std::expected<MappedRun, Error> MappedRun::open(std::uint32_t tag, DomId domid, GrantRef first_ref,
                                                std::uint32_t count) {
  const auto slot = window::take_run(count);
  if (!slot) return std::unexpected(slot.error());
  // Known before anything is mapped: whatever the next life finds mapped there is the run's.
  const bool kept = vitals::survivors().add({.kind = abi::SurvivorKind::mapped_run,
                                             .domid = domid,
                                             .tag = tag,
                                             .id = *slot,
                                             .peer = count,
                                             .where = first_ref,
                                             .sum = 0});
  if (!kept) {
    window::release_run(*slot, count);
    return std::unexpected(Error::no_space);
  }
  return MappedRun{tag, domid, *slot, first_ref, count};
}

std::optional<MappedRun> MappedRun::survived(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::mapped_run, tag);
  if (!entry) return std::nullopt;
  return MappedRun{tag, entry->domid, entry->id, static_cast<GrantRef>(entry->where), entry->peer};
}

std::byte* MappedRun::data() const {
  return at(window::address_of_slot(slot_));
}

bool MappedRun::need(std::uint32_t first, std::uint32_t count) {
  if (first > count_ || count > count_ - first) return false;
  return window::map_run(slot_ + first, count, domid_, first_ref_ + first);
}

void MappedRun::close() {
  if (count_ == 0) return;
  window::release_run(slot_, count_);
  vitals::survivors().remove(abi::SurvivorKind::mapped_run, tag_);
  count_ = 0;
}

std::expected<void, Error> grant_run(std::uint32_t tag, DomId domid, std::byte* pages,
                                     std::uint32_t count, GrantRef first_ref) {
  const auto frame = own_frame(pages, count);
  if (!frame) return std::unexpected(frame.error());
  if (!table::reach(first_ref + count)) return std::unexpected(Error::no_space);
  const bool kept = vitals::survivors().add({.kind = abi::SurvivorKind::granted_run,
                                             .domid = domid,
                                             .tag = tag,
                                             .id = first_ref,
                                             .peer = count,
                                             .where = *frame,
                                             .sum = 0});
  if (!kept) return std::unexpected(Error::no_space);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto given = table::give_as(first_ref + i, domid, *frame + i);
    if (given) continue;
    for (std::uint32_t back = 0; back < i; ++back)
      (void)table::take_back(first_ref + back);
    vitals::survivors().remove(abi::SurvivorKind::granted_run, tag);
    return given;
  }
  return {};
}

Statistics statistics() {
  return {.mapped = window::mapped(),
          .granted = table::given(),
          .stuck = window::stuck() + table::stuck()};
}

void set_up(bool reborn) {
  window::set_up(reborn);
  table::set_up(reborn);
}

}  // namespace ppvmm::kernel::grants

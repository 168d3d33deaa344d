#include "kernel/grant_window.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "abi/hypercall.hpp"
#include "kernel/bit_pool.hpp"
#include "kernel/vitals.hpp"

extern "C" std::byte ppvmm_grant_records[];

namespace ppvmm::kernel::grants::window {
namespace {

constexpr std::uint32_t kEntriesPerTable = 512;

/// One mapping. Record n stands for slot n.
struct Record {
  std::uint32_t handle_and_one;  ///< 0: unused.
  std::uint32_t own_frame;       ///< Frame it is mapped over; 0: mapped in the window.
};
static_assert(sizeof(Record) == 8);
static_assert(sizeof(Record) * paging::kGrantSlots == 131072, "unikernel.ld reserves this");

constexpr std::uint32_t kPool = paging::kGrantSlots;
BitPool<kPool> free_slots;
std::uint32_t stuck_count = 0;

Address window_address(std::uint32_t slot) {
  return paging::kGrantWindow + std::uint64_t{slot} * kPage;
}

std::span<Record, kSlots> records() {
  return std::span<Record, kSlots>(reinterpret_cast<Record*>(&ppvmm_grant_records[0]), kSlots);
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

gnttab_map_grant_ref_t map_request(std::uint32_t slot, DomId domid, GrantRef ref, Access access) {
  gnttab_map_grant_ref_t request{};
  request.host_addr = address_of_slot(slot);
  request.flags = GNTMAP_host_map | (access == Access::read_only ? GNTMAP_readonly : 0u);
  request.ref = ref;
  request.dom = domid;
  return request;
}

gnttab_unmap_grant_ref_t unmap_request(std::uint32_t slot) {
  gnttab_unmap_grant_ref_t request{};
  request.host_addr = address_of_slot(slot);
  request.handle = records()[slot].handle_and_one - 1;
  return request;
}

/// Unmaps the given slots, all of them mapped, and says for each whether Xen did so.
template <typename Done>
void unmap_batch(std::span<const std::uint32_t> slots, Done done) {
  std::array<gnttab_unmap_grant_ref_t, kBatch> requests;
  for (std::size_t i = 0; i < slots.size(); ++i)
    requests[i] = unmap_request(slots[i]);
  const bool asked =
      abi::grant_table_op(GNTTABOP_unmap_grant_ref, std::span{requests}.first(slots.size())) == 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Record& record = records()[slots[i]];
    const bool gone = asked && requests[i].status == GNTST_okay;
    if (gone) {
      if (record.own_frame != 0) paging::restore_page(frame_address(record.own_frame));
      record = {};
    } else {
      ++stuck_count;
    }
    done(slots[i], gone);
  }
}

void free_if(std::uint32_t slot, bool gone) {
  if (gone) free_slots.give(slot);
}

/// Slots that survivors speak of: of single mappings by address, of runs by number.
class Kept {
 public:
  Kept() {
    vitals::survivors().for_each([this](const abi::Survivor& entry) {
      if (entry.kind == abi::SurvivorKind::mapping && count_ < singles_.size()) {
        singles_[count_++] = entry.where;
      } else if (entry.kind == abi::SurvivorKind::mapped_run && entry.id < kSlots) {
        runs_.give_range(entry.id, std::min(entry.peer, kSlots - entry.id));
      }
    });
    std::ranges::sort(std::span{singles_}.first(count_));
  }
  /// The 64 slots from `first` on, a bit for each that belongs to a run.
  [[nodiscard]] std::uint64_t runs_in(std::uint32_t first) const { return runs_.word(first); }
  [[nodiscard]] bool single(Address address) const {
    return std::ranges::binary_search(std::span{singles_}.first(count_), address);
  }

 private:
  std::array<Address, abi::kSurvivors> singles_;
  std::size_t count_{};
  BitPool<kPool> runs_;
};

constexpr std::uint32_t kWord = 64;

/// What is in 64 slots, a bit for each.
struct WordOfSlots {
  std::uint64_t recorded{};  ///< Has a record.
  /// Mapped without one: the last life died between Xen's mapping and the note of its handle.
  std::uint64_t unnoticed{};
};

WordOfSlots look_at(std::uint32_t first) {
  WordOfSlots result;
  // Nearly all are empty: one quick pass tells.
  const auto slots = records().subspan(first, kWord);
  const std::uint64_t* const table = paging::leaf_table_of(window_address(first));
  const std::uint64_t* const entries =
      table == nullptr ? nullptr : &table[first % kEntriesPerTable];
  std::uint64_t any = 0;
  for (std::uint32_t i = 0; i < kWord; ++i)
    any |= slots[i].handle_and_one | (entries == nullptr ? 0 : entries[i] & paging::kPresent);
  if (any == 0) return result;
  for (std::uint32_t i = 0; i < kWord; ++i) {
    const std::uint64_t recorded = slots[i].handle_and_one != 0 ? 1 : 0;
    const std::uint64_t present = entries == nullptr ? 0 : entries[i] & paging::kPresent;
    result.recorded |= recorded << i;
    result.unnoticed |= (present & ~recorded) << i;
  }
  return result;
}

void clear_up() {
  static Kept kept;  // static: too large for the stack
  std::array<std::uint32_t, kBatch> batch;
  std::size_t count = 0;
  static_assert(kSlots % kWord == 0 && kEntriesPerTable % kWord == 0);
  for (std::uint32_t first = 0; first < kSlots; first += kWord) {
    const std::uint64_t run = kept.runs_in(first);
    if (run == ~std::uint64_t{0}) continue;
    const WordOfSlots word = look_at(first);
    // A page of a run that was mapped unnoticed is mapped again when it is needed.
    stuck_count += static_cast<std::uint32_t>(std::popcount(word.unnoticed & ~run));
    free_slots.give_word(first, ~(word.recorded | word.unnoticed | run));
    for (std::uint64_t rest = word.recorded & ~run; rest != 0; rest &= rest - 1) {
      const std::uint32_t slot = first + static_cast<std::uint32_t>(std::countr_zero(rest));
      if (kept.single(address_of_slot(slot))) continue;
      batch[count++] = slot;
      if (count < batch.size()) continue;
      unmap_batch(batch, free_if);
      count = 0;
    }
  }
  if (count > 0) unmap_batch(std::span{batch}.first(count), free_if);
}

}  // namespace

Address address_of_slot(std::uint32_t slot) {
  const std::uint32_t own_frame = slot < kSlots ? records()[slot].own_frame : 0;
  return own_frame != 0 ? frame_address(own_frame) : window_address(slot);
}

std::uint32_t handle_and_one(std::uint32_t slot) {
  return slot < kSlots ? records()[slot].handle_and_one : 0;
}

std::expected<std::uint32_t, Error> map(std::uint32_t own_frame, DomId domid, GrantRef ref,
                                        Access access) {
  const auto slot = free_slots.take();
  if (!slot) return std::unexpected(Error::no_space);
  Record& record = records()[*slot];
  record.own_frame = own_frame;
  // Xen replaces the entry without a TLB flush, so an own page must be gone from the TLB before.
  if (own_frame != 0 && abi::update_va_mapping(address_of_slot(*slot), 0) != 0) {
    record.own_frame = 0;
    free_slots.give(*slot);
    return std::unexpected(Error::bad_page);
  }
  gnttab_map_grant_ref_t request = map_request(*slot, domid, ref, access);
  const bool asked = abi::grant_table_op(GNTTABOP_map_grant_ref, std::span{&request, 1}) == 0;
  if (!asked || request.status != GNTST_okay) {
    if (own_frame != 0) paging::restore_page(frame_address(own_frame));
    record.own_frame = 0;
    free_slots.give(*slot);
    return std::unexpected(asked ? error_of(request.status) : Error::other);
  }
  record.handle_and_one = request.handle + 1;
  return *slot;
}

void unmap(std::uint32_t slot) {
  unmap_batch(std::span{&slot, 1}, free_if);
}

std::expected<std::uint32_t, Error> take_run(std::uint32_t count) {
  const auto first = free_slots.take_run(count);
  if (!first) return std::unexpected(Error::no_space);
  return *first;
}

bool map_run(std::uint32_t first, std::uint32_t count, DomId domid, GrantRef first_ref) {
  std::array<gnttab_map_grant_ref_t, kBatch> requests;
  std::array<std::uint32_t, kBatch> slots;
  std::size_t waiting = 0;
  bool all = true;
  const auto flush = [&] {
    if (waiting == 0) return;
    const bool asked =
        abi::grant_table_op(GNTTABOP_map_grant_ref, std::span{requests}.first(waiting)) == 0;
    for (std::size_t i = 0; i < waiting; ++i) {
      if (asked && requests[i].status == GNTST_okay) {
        records()[slots[i]].handle_and_one = requests[i].handle + 1;
      } else {
        all = false;
      }
    }
    waiting = 0;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    if (records()[first + i].handle_and_one != 0) continue;
    slots[waiting] = first + i;
    requests[waiting++] = map_request(first + i, domid, first_ref + i, Access::read_write);
    if (waiting == kBatch) flush();
  }
  flush();
  return all;
}

void release_run(std::uint32_t first, std::uint32_t count) {
  std::array<std::uint32_t, kBatch> batch;
  std::size_t waiting = 0;
  for (std::uint32_t slot = first; slot < first + count; ++slot) {
    if (records()[slot].handle_and_one == 0) {
      free_slots.give(slot);
      continue;
    }
    batch[waiting++] = slot;
    if (waiting == batch.size()) {
      unmap_batch(batch, free_if);
      waiting = 0;
    }
  }
  if (waiting > 0) unmap_batch(std::span{batch}.first(waiting), free_if);
}

std::uint32_t mapped() {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      records(), [](const Record& record) { return record.handle_and_one != 0; }));
}

std::uint32_t stuck() {
  return stuck_count;
}

void set_up(bool reborn) {
  if (reborn) {
    clear_up();
    return;
  }
  free_slots.give_range(0, kSlots);
}

}  // namespace ppvmm::kernel::grants::window

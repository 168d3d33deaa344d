#include "kernel/paging.hpp"

#include <array>

#include "abi/hypercall.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::paging {
namespace {

constexpr unsigned kLevels = 4;
constexpr std::size_t kEntries = 512;
constexpr std::uint64_t kFrameMask = 0x000FFFFFFFFFF000;
/// What table entries carry. Accessed and dirty set at once saves the processor from doing it. Not
/// the user bit: Xen adds it, and would take a page that has it for one of a guest's user mode.
constexpr std::uint64_t kTableFlags = kPresent | kWritable | 0x20 | 0x40;
constexpr std::uint64_t kDataFlags = kTableFlags | kNoExecute;

/// Machine frame -> pseudo-physical frame, kept by Xen, readable by every PV domain
/// (arch-x86/xen-x86_64.h, MACH2PHYS_VIRT_START).
const std::uint64_t* machine_to_pseudo() {
  return at<const std::uint64_t>(__MACH2PHYS_VIRT_START);
}

std::size_t index_at(Address address, unsigned level) {
  return (address >> (12 + 9 * (level - 1))) % kEntries;
}

const std::uint64_t* table_of(std::uint64_t entry) {
  return at<const std::uint64_t>(frame_address(pseudo_frame((entry & kFrameMask) / kPage)));
}

/// Collects page-table updates and hands them to Xen in batches.
class Updates {
 public:
  ~Updates() { flush(); }
  void add(std::uint64_t entry_machine_address, std::uint64_t value) {
    pending_[count_++] = {entry_machine_address | MMU_NORMAL_PT_UPDATE, value};
    if (count_ == pending_.size()) flush();
  }
  void flush() {
    if (count_ == 0) return;
    if (abi::mmu_update({pending_.data(), count_}) < 0) panic("page-table update refused");
    count_ = 0;
  }

 private:
  std::array<mmu_update_t, 128> pending_{};
  std::size_t count_{};
};

/// Finds and extends page tables. New tables come from frames that are mapped already.
class Builder {
 public:
  Builder(const abi::Origin& origin, std::uint64_t free_frame)
      : top_(at<const std::uint64_t>(origin.page_tables_va)), next_frame_(free_frame) {}

  /// The lowest-level table that covers `address`, or null when one on the way is missing.
  [[nodiscard]] const std::uint64_t* leaf_table(Address address) const {
    const std::uint64_t* table = top_;
    for (unsigned level = kLevels; level > 1; --level) {
      const std::uint64_t entry = table[index_at(address, level)];
      if ((entry & kPresent) == 0) return nullptr;
      table = table_of(entry);
    }
    return table;
  }

  /// Gives `address` a leaf table filled by `fill(std::uint64_t* table)` if it has none.
  template <typename Fill>
  void ensure_leaf(Address address, Fill fill) {
    const std::uint64_t* table = top_;
    for (unsigned level = kLevels; level > 1; --level) {
      const std::size_t index = index_at(address, level);
      if ((table[index] & kPresent) == 0) {
        const std::uint64_t frame = next_frame_++;
        auto* const fresh = at<std::uint64_t>(frame_address(frame));
        for (std::size_t i = 0; i < kEntries; ++i)
          fresh[i] = 0;
        if (level == 2) fill(fresh);
        // Xen accepts a table only if nothing maps it writable.
        const std::uint64_t mfn = machine_frame(frame);
        if (abi::update_va_mapping(frame_address(frame), mfn * kPage | (kDataFlags & ~kWritable)) !=
            0) {
          panic("page-table frame refused");
        }
        const mmu_update_t link{machine_address(&table[index]) | MMU_NORMAL_PT_UPDATE,
                                mfn * kPage | kTableFlags};
        if (abi::mmu_update({&link, 1}) < 0) panic("page table refused");
      }
      table = table_of(table[index]);
    }
  }

  [[nodiscard]] static std::uint64_t machine_address(const std::uint64_t* entry) {
    const Address address = address_of(entry);
    return machine_frame(frame_of(address)) * kPage + address % kPage;
  }
  [[nodiscard]] std::uint64_t next_frame() const { return next_frame_; }

 private:
  const std::uint64_t* top_;
  std::uint64_t next_frame_;
};

constexpr std::uint64_t without(std::uint64_t entry, std::uint64_t flags) {
  return entry & ~flags;
}

bool within(Address address, const std::byte* start, const std::byte* end) {
  return address >= address_of(start) && address < address_of(end);
}

bool is_guard(Address address) {
  return address == address_of(&ppvmm_main_guard[0]) ||
         address == address_of(&ppvmm_trap_guard[0]) ||
         address == address_of(&ppvmm_nested_guard[0]) ||
         address == address_of(&ppvmm_contained_guard[0]) ||
         address == address_of(&ppvmm_inner_guard[0]) || address == address_of(&ppvmm_top_guard[0]);
}

/// What the domain builder wrote for us alone to read: frame numbers, and start_info. A wild write
/// there would outlive a microreboot, and later lives would lend out and copy from other pages.
bool is_builders(const abi::Origin& origin, Address address) {
  const Address numbers_end = origin.p2m_va + origin.nr_pages * sizeof(std::uint64_t);
  return (address + kPage > origin.p2m_va && address < numbers_end) ||
         address == origin.start_info_va;
}

/// The entry a page of the linear map should have, given the one the builder made.
std::uint64_t hardened(const abi::Origin& origin, Address address, std::uint64_t entry) {
  if (is_guard(address)) return 0;
  if (is_builders(origin, address)) return without(entry, kWritable) | kNoExecute;
  if (within(address, ppvmm_text_start, ppvmm_text_end)) return without(entry, kWritable);
  if (within(address, ppvmm_rodata_start, ppvmm_rodata_end)) {
    return without(entry, kWritable) | kNoExecute;
  }
  return entry | kNoExecute;
}

}  // namespace

std::uint64_t machine_frame(std::uint64_t pfn) {
  return at<const std::uint64_t>(vitals::page().origin.p2m_va)[pfn];
}

std::uint64_t pseudo_frame(std::uint64_t mfn) {
  return machine_to_pseudo()[mfn];
}

void map_shared_info(std::uint64_t machine_address) {
  if (abi::update_va_mapping(address_of(&ppvmm_shared_info[0]), machine_address | kDataFlags) !=
      0) {
    panic("shared_info cannot be mapped");
  }
}

std::uint64_t build(const abi::Origin& origin, std::uint64_t free_frame) {
  Builder builder(origin, free_frame);
  Updates updates;

  // What the domain builder mapped: everything writable and executable but its page tables.
  for (std::uint64_t pfn = 0; pfn < origin.nr_pages; ++pfn) {
    const Address address = frame_address(pfn);
    const std::uint64_t* const leaf = builder.leaf_table(address);
    if (leaf == nullptr) break;
    const std::uint64_t* const entry = &leaf[index_at(address, 1)];
    if ((*entry & kPresent) == 0) break;
    const std::uint64_t wanted = hardened(origin, address, *entry);
    if (wanted != *entry) updates.add(Builder::machine_address(entry), wanted);
  }
  updates.flush();

  // The rest of memory. A table fills whole with the frames it covers.
  const std::uint64_t frames_per_leaf = kEntries;
  for (std::uint64_t pfn = 0; pfn < origin.nr_pages; pfn += frames_per_leaf) {
    builder.ensure_leaf(frame_address(pfn), [&](std::uint64_t* table) {
      for (std::size_t i = 0; i < kEntries && pfn + i < origin.nr_pages; ++i) {
        table[i] = machine_frame(pfn + i) * kPage | kDataFlags;
      }
    });
  }
  static_assert(kIoWindow == kGrantWindow + kGrantSlots * kPage);
  for (std::size_t slot = 0; slot < kGrantSlots + kIoSlots; slot += kEntries) {
    builder.ensure_leaf(kGrantWindow + slot * kPage, [](std::uint64_t*) {});
  }

  const mmuext_op_t flush{.cmd = MMUEXT_TLB_FLUSH_LOCAL, .arg1 = {}, .arg2 = {}};
  mmuext_op_t request = flush;
  if (abi::mmuext_op(request) != 0) panic("TLB flush refused");
  return builder.next_frame();
}

const std::uint64_t* leaf_table_of(Address address) {
  return Builder(vitals::page().origin, 0).leaf_table(address);
}

std::uint64_t entry_of(Address address) {
  const std::uint64_t* const leaf = leaf_table_of(address);
  return leaf == nullptr ? 0 : leaf[index_at(address, 1)];
}

namespace {

/// Writes one of the builder's frame numbers, which are mapped read-only.
void set_machine_frame(const abi::Origin& origin, std::uint64_t pfn, std::uint64_t mfn) {
  const Address address = origin.p2m_va + pfn * sizeof mfn;
  const Address page = address & ~(kPage - 1);
  const std::uint64_t entry = entry_of(page);
  if (abi::update_va_mapping(page, entry | kWritable) != 0) panic("frame numbers cannot be mended");
  *at<std::uint64_t>(address) = mfn;
  if (abi::update_va_mapping(page, entry) != 0) panic("frame numbers cannot be protected again");
}

}  // namespace

std::uint64_t mend_machine_frames(const abi::Origin& origin) {
  std::uint64_t mended = 0;
  const std::uint64_t* leaf = nullptr;
  for (std::uint64_t pfn = 0; pfn < origin.nr_pages; ++pfn) {
    const Address address = frame_address(pfn);
    const std::size_t index = index_at(address, 1);
    if (leaf == nullptr || index == 0) leaf = leaf_table_of(address);
    if (leaf == nullptr || (leaf[index] & kPresent) == 0) continue;
    const std::uint64_t mfn = (leaf[index] & kFrameMask) / kPage;
    if (machine_frame(pfn) == mfn || pseudo_frame(mfn) != pfn) continue;  // or it is not ours
    set_machine_frame(origin, pfn, mfn);
    ++mended;
  }
  return mended;
}

void restore_page(Address address) {
  if (abi::update_va_mapping(address, machine_frame(frame_of(address)) * kPage | kDataFlags) != 0) {
    panic("own page cannot be mapped back");
  }
}

}  // namespace ppvmm::kernel::paging

/// The address space: all memory mapped linearly, write xor execute, guard pages, grant window.
///
/// PV page tables are read-only for the domain and changed by hypercall only, so a wild write
/// cannot reach them and they stay as they are over a microreboot. They are built on the first
/// life; later lives find them ready.
#pragma once

#include <cstdint>

#include "abi/vitals.hpp"
#include "abi/xen.hpp"
#include "kernel/layout.hpp"

namespace ppvmm::kernel::paging {

/// Window for mapped grants: kGrantSlots pages, unmapped until a grant is mapped there.
inline constexpr Address kGrantWindow = 0x10000000000;
inline constexpr std::size_t kGrantSlots = 16384;
/// Window for device registers (io_memory.hpp), right behind it.
inline constexpr Address kIoWindow = kGrantWindow + kGrantSlots * kPage;
inline constexpr std::size_t kIoSlots = 1024;

inline constexpr std::uint64_t kPresent = 1;
inline constexpr std::uint64_t kWritable = 2;
inline constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;

/// Maps Xen's shared_info over its own page in the image. First life only.
void map_shared_info(std::uint64_t machine_address);

/// First life only: maps memory that the domain builder left unmapped, takes write or execute
/// rights away, unmaps guard pages, prepares the grant window. `free_frame` is the first frame that
/// nobody uses; returns the first that is free afterwards.
[[nodiscard]] std::uint64_t build(const abi::Origin& origin, std::uint64_t free_frame);

/// Page-table entry of an address, 0 if none is mapped there.
[[nodiscard]] std::uint64_t entry_of(Address address);

/// The lowest-level page table that covers `address` (512 entries), or null.
[[nodiscard]] const std::uint64_t* leaf_table_of(Address address);

/// Machine frame of a pseudo-physical frame (from the builder's table) and the other way round.
[[nodiscard]] std::uint64_t machine_frame(std::uint64_t pfn);
[[nodiscard]] std::uint64_t pseudo_frame(std::uint64_t mfn);

/// Checks the builder's table of frame numbers against the page tables, which Xen guards, and
/// writes anew what differs. How many did. Pages that something foreign is mapped over are skipped.
[[nodiscard]] std::uint64_t mend_machine_frames(const abi::Origin& origin);

/// Makes a page of the linear map what it was: its own frame, writable, not executable. Used after
/// a foreign frame was mapped over it.
void restore_page(Address address);

}  // namespace ppvmm::kernel::paging

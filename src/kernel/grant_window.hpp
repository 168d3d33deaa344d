/// The window in which other domains' pages are mapped: its slots, and what is in each. For the
/// runtime itself; everybody else uses grants.hpp.
///
/// What is mapped is written down in memory that a microreboot keeps, so that the next incarnation
/// can unmap what this one had mapped.
#pragma once

#include <cstdint>
#include <expected>

#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/paging.hpp"

namespace ppvmm::kernel::grants::window {

/// The last pages of the window show our own grant table (grant_table.hpp).
inline constexpr std::uint32_t kTablePages = 64;
inline constexpr std::uint32_t kSlots = paging::kGrantSlots - kTablePages;
/// Requests handed to Xen in one hypercall.
inline constexpr std::uint32_t kBatch = 64;

/// Where the mapping of a slot is: in the window, or over an own page.
[[nodiscard]] Address address_of_slot(std::uint32_t slot);
/// Handle of the slot's mapping, plus one; 0: nothing is mapped.
[[nodiscard]] std::uint32_t handle_and_one(std::uint32_t slot);

/// Maps `ref` of `domid` in a free slot, over own frame `own_frame` unless that is 0.
[[nodiscard]] std::expected<std::uint32_t, Error> map(std::uint32_t own_frame, DomId domid,
                                                      GrantRef ref, Access access);
/// Unmaps and frees the slot. A slot that Xen does not let go of is counted as stuck, and lost.
void unmap(std::uint32_t slot);

/// `count` consecutive slots with nothing mapped, for a run.
[[nodiscard]] std::expected<std::uint32_t, Error> take_run(std::uint32_t count);
/// Maps what is not mapped of slots [first, first + count), slot n with reference first_ref + n -
/// first, writable. False if Xen refused one.
[[nodiscard]] bool map_run(std::uint32_t first, std::uint32_t count, DomId domid,
                           GrantRef first_ref);
/// Unmaps a run and frees its slots.
void release_run(std::uint32_t first, std::uint32_t count);

/// What is mapped now, runs included, and what is stuck.
[[nodiscard]] std::uint32_t mapped();
[[nodiscard]] std::uint32_t stuck();

/// First life: all slots are free. Later: unmaps what no survivor speaks of.
void set_up(bool reborn);

}  // namespace ppvmm::kernel::grants::window

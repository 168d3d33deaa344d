/// Finding the ground that a fault shall hit, by looking at a unikernel's memory from outside.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "abi/image_note.hpp"
#include "root/failure.hpp"
#include "root/guest_memory.hpp"
#include "root/inject_plan.hpp"

namespace ppvmm::root::inject {

/// Code, constants, data or bss, from the image's note.
[[nodiscard]] std::vector<Stretch> image_ground(const abi::ImageNote& note, Where where);

/// From the stack pointer to the upper end of the main stack; when it points elsewhere (another
/// stack, or wild), the uppermost page.
[[nodiscard]] std::vector<Stretch> stack_ground(const abi::ImageNote& note, std::uint64_t rsp);

/// One page of `pages` that holds something, drawn at random: most of a heap is free.
[[nodiscard]] Result<std::vector<Stretch>> used_page(GuestMemory& memory,
                                                     std::span<const Stretch> pages, Dice& dice);

/// Log or checkpoints of the replica's region that lies in `pages`, as far as they were written.
[[nodiscard]] Result<std::vector<Stretch>> region_ground(GuestMemory& memory,
                                                         std::span<const Stretch> pages,
                                                         Where where);

/// Texts that a XenStore tree is full of, wherever they lie in `pages`: names and values of nodes,
/// and stale copies of them as well, for from outside nobody can tell.
[[nodiscard]] Result<std::vector<Stretch>> tree_ground(GuestMemory& memory,
                                                       std::span<const Stretch> pages);

/// Occurrences of `texts` in `bytes`, which begin at `va`. Pure.
[[nodiscard]] std::vector<Stretch> find_texts(std::uint64_t va, std::span<const std::byte> bytes,
                                              std::span<const std::string_view> texts);

}  // namespace ppvmm::root::inject

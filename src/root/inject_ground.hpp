/// Finding the ground that a fault shall hit, by looking at a unikernel's memory from outside.
#pragma once

#include <cstddef>
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

/// The table of frame numbers that the domain builder made (arch-x86: start_info.mfn_list).
[[nodiscard]] Result<std::vector<Stretch>> frames_ground(GuestMemory& memory,
                                                         const abi::ImageNote& note);

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

/// Names and values of a XenStore tree's nodes, found by the shape of the blocks they lie in
/// (store/node.hpp). A block that was freed and not used again since may be among them.
[[nodiscard]] Result<std::vector<Stretch>> tree_ground(GuestMemory& memory,
                                                       std::span<const Stretch> pages);

/// The word in which a backup counts the digest of its tree: everything in `pages`, outside its
/// region, that equals the newest digest that it published there. Earlier lives may have left the
/// same value in memory that was not used again: `flip_copies`.
[[nodiscard]] Result<std::vector<Stretch>> digest_ground(GuestMemory& memory,
                                                         std::span<const Stretch> pages);

/// Flips in all other `words` what was flipped at `address`, which lies in one of them: which word
/// is the living one cannot be seen from outside, and nobody reads the dead. How many.
[[nodiscard]] Result<std::size_t> flip_copies(GuestMemory& memory, std::span<const Stretch> words,
                                              std::uint64_t address, std::byte mask);

}  // namespace ppvmm::root::inject

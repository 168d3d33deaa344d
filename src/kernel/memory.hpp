/// The heap behind operator new, and whole pages.
///
/// Out-of-memory policy: `new (std::nothrow)` and the functions here return null, and the refusal
/// is counted. Plain `new`, which the standard library uses, cannot report: it ends the incarnation
/// with a fault record of kind out_of_memory, and root re-enters the image. A service that must not
/// die of its clients' demands keeps below available() by limits of its own, as the XenStore
/// machine does with Options::memory_limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/slabs.hpp"

namespace ppvmm::kernel::memory {

struct Statistics {
  std::uint64_t total;       ///< Bytes that the heap can ever give.
  std::uint64_t available;   ///< Bytes in free pages: a lower bound of what can still be had.
  std::uint64_t in_use;      ///< Bytes given out, rounded to size classes and pages.
  std::uint64_t peak;        ///< Highest in_use of this incarnation.
  std::uint64_t refused;     ///< Allocations refused in this incarnation.
  std::uint64_t objects;     ///< Small objects in use.
  std::uint64_t slab_bytes;  ///< Bytes in pages that hold small objects.
};
[[nodiscard]] Statistics statistics();
[[nodiscard]] std::uint64_t available();

/// `count` >= 1 contiguous pages of undefined content, or null.
[[nodiscard]] std::byte* take_pages(std::size_t count);
/// Gives back what take_pages() returned. Panics for anything else.
void release_pages(std::byte* pages);

/// Keeps pages over microreboots under `tag`, content and place. False if the tag is taken or the
/// table full.
[[nodiscard]] bool survive(std::byte* pages, std::uint32_t tag);
/// Pages that an earlier incarnation kept under `tag`: their address, null if none.
[[nodiscard]] std::byte* survived(std::uint32_t tag);

/// For the runtime: the heap is being changed. Code that is ended here leaves it broken.
[[nodiscard]] bool busy();
/// For the runtime: takes over all memory from the first free frame on, but for survivors' pages.
void set_up();

}  // namespace ppvmm::kernel::memory

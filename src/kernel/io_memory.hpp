/// Device registers in the address space: machine I/O memory, mapped uncached into a window.
///
/// Xen lets a domain map what the tool stack gave it (libxl does so for the BARs of an assigned
/// device) and forces uncached itself. The window starts empty in every life: the next incarnation
/// maps again what it still knows of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

namespace ppvmm::kernel::io_memory {

enum class Error : std::uint8_t {
  no_space,  ///< The window is full, or the range larger than it.
  refused,   ///< Xen does not let this domain map that.
};

/// Maps `bytes` > 0 of machine memory from `machine` on; the result points to that very byte.
[[nodiscard]] std::expected<volatile std::byte*, Error> map(std::uint64_t machine,
                                                            std::size_t bytes);
/// Ends what map() made, given its result and the same size.
void unmap(volatile std::byte* address, std::size_t bytes);

}  // namespace ppvmm::kernel::io_memory

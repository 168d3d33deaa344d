/// Memory for devices: own pages with their machine addresses, which is what an assigned device
/// sees (the IOMMU confines it to this domain's pages).
///
/// Rule of rebirth: a device goes on writing to the pages it was given while the image dies and is
/// entered again. So they are taken under a tag and stay out of the heap until the next life has
/// reset the device; the next life finds the very same pages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ppvmm::kernel::dma {

/// `count` pages found under `tag` from an earlier life, or fresh ones that will be found under it.
/// Null without memory, or if the table of survivors is full. The count must be the same in each
/// life. Contiguous for the processor, scattered for the device.
[[nodiscard]] std::byte* pages(std::size_t count, std::uint32_t tag);

/// Where a byte of ours lies for a device.
[[nodiscard]] std::uint64_t machine_address(const std::byte* own);

}  // namespace ppvmm::kernel::dma

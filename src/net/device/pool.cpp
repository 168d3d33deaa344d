#include "net/device/pool.hpp"

#include <cstring>

#include "kernel/dma.hpp"
#include "kernel/memory.hpp"

namespace ppvmm::net::device {
namespace {

/// Null without memory.
ReceiveNote* kept_notes(std::size_t count, std::uint32_t tag) {
  const std::size_t pages = (count * sizeof(ReceiveNote) + kBufferBytes - 1) / kBufferBytes;
  const bool fresh = kernel::memory::survived(tag) == nullptr;
  std::byte* const memory = kernel::dma::pages(pages, tag);
  if (memory != nullptr && fresh) std::memset(memory, 0, pages * kBufferBytes);
  return reinterpret_cast<ReceiveNote*>(memory);
}

}  // namespace

std::unique_ptr<DevicePool> DevicePool::create(std::size_t buffers, std::size_t frames,
                                               std::uint32_t tag) {
  std::byte* const memory = kernel::dma::pages(buffers, tag);
  ReceiveNote* const notes = kept_notes(buffers, tag + 0x100);
  if (memory == nullptr || notes == nullptr) return nullptr;
  std::vector<DmaAddress> pages(buffers);
  for (std::size_t i = 0; i < buffers; ++i)
    pages[i] = kernel::dma::machine_address(memory + i * kBufferBytes);
  return std::unique_ptr<DevicePool>(
      new DevicePool(memory, std::move(pages), frames, {notes, buffers}));
}

}  // namespace ppvmm::net::device

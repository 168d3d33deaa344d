#include "net/device/pool.hpp"

#include "kernel/dma.hpp"

namespace ppvmm::net::device {

std::unique_ptr<DevicePool> DevicePool::create(std::size_t buffers, std::size_t frames,
                                               std::uint32_t tag) {
  std::byte* const memory = kernel::dma::pages(buffers, tag);
  if (memory == nullptr) return nullptr;
  std::vector<DmaAddress> pages(buffers);
  for (std::size_t i = 0; i < buffers; ++i)
    pages[i] = kernel::dma::machine_address(memory + i * kBufferBytes);
  return std::unique_ptr<DevicePool>(new DevicePool(memory, std::move(pages), frames));
}

}  // namespace ppvmm::net::device

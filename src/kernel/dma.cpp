#include "kernel/dma.hpp"

#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/paging.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::dma {

std::byte* pages(std::size_t count, std::uint32_t tag) {
  if (const auto kept = vitals::survivors().find(abi::SurvivorKind::pages, tag)) {
    return kept->peer == count ? at(kept->where) : nullptr;
  }
  std::byte* const fresh = memory::take_pages(count);
  if (fresh == nullptr) return nullptr;
  if (!memory::survive(fresh, tag)) {
    memory::release_pages(fresh);
    return nullptr;
  }
  return fresh;
}

std::uint64_t machine_address(const std::byte* own) {
  const Address address = address_of(own);
  return paging::machine_frame(frame_of(address)) * kPage + address % kPage;
}

}  // namespace ppvmm::kernel::dma

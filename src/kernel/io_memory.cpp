#include "kernel/io_memory.hpp"

#include <bitset>

#include "abi/hypercall.hpp"
#include "kernel/layout.hpp"
#include "kernel/paging.hpp"
#include "kernel/panic.hpp"

namespace ppvmm::kernel::io_memory {
namespace {

constexpr std::size_t kSlots = paging::kIoSlots;
/// Uncached whatever the page attribute table says: entry 3 (Intel SDM vol. 3, 11.12.4).
constexpr std::uint64_t kUncached = 0x8 | 0x10;
constexpr std::uint64_t kFlags =
    paging::kPresent | paging::kWritable | 0x20 | 0x40 | kUncached | paging::kNoExecute;

std::bitset<kSlots> taken;
bool cleared = false;

Address slot_address(std::size_t slot) {
  return paging::kIoWindow + slot * kPage;
}

void unmap_slot(std::size_t slot) {
  if (abi::update_va_mapping(slot_address(slot), 0) != 0) panic("I/O window cannot be cleared");
}

/// What the last life had mapped.
void clear_leftovers() {
  if (cleared) return;
  cleared = true;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if ((paging::entry_of(slot_address(slot)) & paging::kPresent) != 0) unmap_slot(slot);
  }
}

std::size_t find_free(std::size_t pages) {
  std::size_t run = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    run = taken[slot] ? 0 : run + 1;
    if (run == pages) return slot + 1 - pages;
  }
  return kSlots;
}

std::size_t pages_of(std::uint64_t machine, std::size_t bytes) {
  return (machine % kPage + bytes + kPage - 1) / kPage;
}

}  // namespace

std::expected<volatile std::byte*, Error> map(std::uint64_t machine, std::size_t bytes) {
  clear_leftovers();
  const std::size_t pages = pages_of(machine, bytes);
  const std::size_t first = find_free(pages);
  if (bytes == 0 || pages > kSlots || first == kSlots) return std::unexpected(Error::no_space);
  for (std::size_t i = 0; i < pages; ++i) {
    const std::uint64_t frame = machine / kPage + i;
    if (abi::update_va_mapping(slot_address(first + i), frame * kPage | kFlags) != 0) {
      while (i-- > 0)
        unmap_slot(first + i);
      return std::unexpected(Error::refused);
    }
  }
  for (std::size_t i = 0; i < pages; ++i)
    taken.set(first + i);
  return at<volatile std::byte>(slot_address(first) + machine % kPage);
}

void unmap(volatile std::byte* address, std::size_t bytes) {
  const Address place = address_of(address);
  if (place < paging::kIoWindow || bytes == 0) return;
  const std::size_t first = (place - paging::kIoWindow) / kPage;
  for (std::size_t i = 0; i < pages_of(place, bytes) && first + i < kSlots; ++i) {
    if (!taken[first + i]) continue;
    unmap_slot(first + i);
    taken.reset(first + i);
  }
}

}  // namespace ppvmm::kernel::io_memory

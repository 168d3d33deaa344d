#include "uk/net/memory.hpp"

#include <cstring>

#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/paging.hpp"
#include "kernel/panic.hpp"

namespace ppvmm::netuk {
namespace {

constexpr std::uint32_t kBuffersTag = 0x6E74'0001;  // "nt"
constexpr std::uint32_t kRecordsTag = 0x6E74'0002;

std::byte* kept_pages(std::size_t count, std::uint32_t tag, bool clear) {
  std::byte* pages = kernel::memory::survived(tag);
  if (pages != nullptr) return pages;
  pages = kernel::memory::take_pages(count);
  if (pages == nullptr || !kernel::memory::survive(pages, tag)) {
    kernel::panic("no memory for what net_uk keeps");
  }
  if (clear) std::memset(pages, 0, count * kernel::kPage);
  return pages;
}

}  // namespace

BufferMemory::BufferMemory(std::size_t buffers)
    : data_(kept_pages(buffers, kBuffersTag, false)), pages_(buffers) {
  for (std::size_t i = 0; i < buffers; ++i) {
    const std::uint64_t frame = kernel::frame_of(kernel::address_of(data_) + i * kernel::kPage);
    pages_[i] = kernel::paging::machine_frame(frame) * kernel::kPage;
  }
}

std::span<net::VifRecord, net::kVifRecords> kept_records() {
  return std::span<net::VifRecord, net::kVifRecords>(
      reinterpret_cast<net::VifRecord*>(kept_pages(1, kRecordsTag, true)), net::kVifRecords);
}

}  // namespace ppvmm::netuk

#include "uk/net/kept.hpp"

#include <cstring>

#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"

namespace ppvmm::netuk {
namespace {

constexpr std::uint32_t kRecordsTag = 0x6E74'0002;  // "nt"

}  // namespace

std::span<net::VifRecord, net::kVifRecords> kept_records() {
  std::byte* page = kernel::memory::survived(kRecordsTag);
  if (page == nullptr) {
    page = kernel::memory::take_pages(1);
    if (page == nullptr || !kernel::memory::survive(page, kRecordsTag)) {
      kernel::panic("no memory for the vifs' records");
    }
    std::memset(page, 0, kernel::kPage);
  }
  return std::span<net::VifRecord, net::kVifRecords>(reinterpret_cast<net::VifRecord*>(page),
                                                     net::kVifRecords);
}

}  // namespace ppvmm::netuk

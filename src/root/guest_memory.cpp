#include "root/guest_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

constexpr std::uint64_t kPresent = 1U << 0U;
constexpr std::uint64_t kWritable = 1U << 1U;
constexpr std::uint64_t kLarge = 1U << 7U;
constexpr std::uint64_t kFrameMask = 0x000F'FFFF'FFFF'F000;
constexpr unsigned kPageShift = 12;
constexpr unsigned kIndexBits = 9;
constexpr unsigned kTopLevel = 4;

std::size_t index_of(std::uint64_t va, unsigned level) {
  return (va >> (kPageShift + kIndexBits * (level - 1))) & ((1U << kIndexBits) - 1);
}

Failure not_there(DomId domid, std::uint64_t va) {
  return {fmt::format("domain {} maps no memory of its own at {:#x}", domid, va), 0};
}

/// Calls `piece(page address, offset in page, offset in the range, bytes)` for each page touched.
template <class Piece>
Result<void> by_page(std::uint64_t va, std::size_t bytes, Piece piece) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t offset = (va + done) % kPageSize;
    const std::size_t here = std::min(kPageSize - offset, bytes - done);
    if (auto did = piece(va + done - offset, offset, done, here); !did) return did;
    done += here;
  }
  return {};
}

}  // namespace

Result<GuestMemory> GuestMemory::open(const Xen& xen, DomId domid) {
  vcpu_guest_context_any_t context{};
  if (xc_vcpu_getcontext(xen.control(), domid, 0, &context) != 0) {
    return failed("read the vCPU context of domain " + std::to_string(domid));
  }
  return GuestMemory(xen, domid, xen_cr3_to_pfn_x86_64(context.x64.ctrlreg[3]));
}

const std::uint64_t* GuestMemory::table(Mfn frame) {
  auto found = tables_.find(frame);
  if (found == tables_.end()) {
    const std::array<Mfn, 1> frames{frame};
    auto mapping = xen_->map(domid_, frames, Access::read);
    if (!mapping) return nullptr;
    found = tables_.emplace(frame, std::move(*mapping)).first;
  }
  return reinterpret_cast<const std::uint64_t*>(found->second.bytes().data());
}

std::optional<GuestMemory::Page> GuestMemory::page(std::uint64_t va) {
  Page page{.frame = top_, .writable = true};
  for (unsigned level = kTopLevel; level >= 1; --level) {
    const std::uint64_t* const entries = table(page.frame);
    if (entries == nullptr) return std::nullopt;
    const std::uint64_t entry = entries[index_of(va, level)];
    // A PV domain has no large pages; one that shows up here is not ours to follow.
    if ((entry & kPresent) == 0 || (level > 1 && (entry & kLarge) != 0)) return std::nullopt;
    page.writable = page.writable && (entry & kWritable) != 0;
    page.frame = (entry & kFrameMask) >> kPageShift;
  }
  return page;
}

Result<void> GuestMemory::read(std::uint64_t va, std::span<std::byte> out) {
  return by_page(va, out.size(),
                 [&](std::uint64_t page_va, std::size_t offset, std::size_t at,
                     std::size_t here) -> Result<void> {
                   const auto found = page(page_va);
                   if (!found) return std::unexpected(not_there(domid_, page_va));
                   const std::array<Mfn, 1> frames{found->frame};
                   const auto mapping = xen_->map(domid_, frames, Access::read);
                   if (!mapping) return std::unexpected(mapping.error());
                   std::memcpy(out.data() + at, mapping->bytes().data() + offset, here);
                   return {};
                 });
}

Result<void> GuestMemory::write(std::uint64_t va, std::span<const std::byte> bytes) {
  return by_page(va, bytes.size(),
                 [&](std::uint64_t page_va, std::size_t offset, std::size_t at,
                     std::size_t here) -> Result<void> {
                   const auto found = page(page_va);
                   if (!found) return std::unexpected(not_there(domid_, page_va));
                   const std::array<Mfn, 1> frames{found->frame};
                   const auto mapping = xen_->map(domid_, frames, Access::read_write);
                   if (!mapping) return std::unexpected(mapping.error());
                   std::memcpy(mapping->bytes().data() + offset, bytes.data() + at, here);
                   return {};
                 });
}

void GuestMemory::visit(
    std::span<const Stretch> stretches,
    const std::function<void(std::uint64_t va, std::span<const std::byte>)>& see) {
  constexpr std::size_t kAtOnce = 256;
  std::vector<Mfn> frames;
  for (const Stretch& stretch : stretches) {
    const std::uint64_t end = stretch.va + stretch.bytes;
    for (std::uint64_t begin = stretch.va; begin < end;) {
      frames.clear();
      std::uint64_t va = begin;
      for (; va < end && frames.size() < kAtOnce; va += kPageSize) {
        const auto here = page(va);
        if (!here) break;
        frames.push_back(here->frame);
      }
      if (frames.empty()) {
        begin += kPageSize;
        continue;
      }
      if (const auto all = xen_->map(domid_, frames, Access::read)) {
        see(begin, all->bytes());
      } else {
        // One of them is a page of another domain: the rest one by one.
        for (std::size_t i = 0; i < frames.size(); ++i) {
          const auto one = xen_->map(domid_, std::span(frames).subspan(i, 1), Access::read);
          if (one) see(begin + i * kPageSize, one->bytes());
        }
      }
      begin = va;
    }
  }
}

std::vector<Stretch> GuestMemory::mapped(const Stretch& range, bool writable_only) {
  std::vector<Stretch> found;
  for (std::uint64_t va = range.va; va < range.va + range.bytes; va += kPageSize) {
    const auto here = page(va);
    if (!here || (writable_only && !here->writable)) continue;
    if (!found.empty() && found.back().va + found.back().bytes == va) {
      found.back().bytes += kPageSize;
    } else {
      found.push_back({va, kPageSize});
    }
  }
  return found;
}

}  // namespace ppvmm::root

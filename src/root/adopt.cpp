#include "root/adopt.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "abi/vitals.hpp"
#include "root/guest_memory.hpp"
#include "root/vitals_view.hpp"

namespace ppvmm::root {
namespace {

std::string at(const char* what, DomId domid) {
  return "domain " + std::to_string(domid) + ": " + what;
}

/// Whether all that the image says is constant is in the domain as the file has it.
Result<void> same_image(const Image& image, GuestMemory& memory, DomId domid) {
  for (const abi::ImageRange& range : image.note().ranges) {
    if (range.action != abi::RangeAction::restore || range.access == abi::RangeAccess::read_write) {
      continue;
    }
    std::vector<std::byte> pristine(range.bytes);
    image.copy_pristine(range.va, pristine);
    std::vector<std::byte> running(range.bytes);
    if (const auto read = memory.read(range.va, running); !read) {
      return std::unexpected(read.error());
    }
    if (pristine != running) return refused(at("it does not run this image", domid));
  }
  return {};
}

}  // namespace

Result<BuiltDomain> adopt_domain(const Xen& xen, const Image& image, DomId domid) {
  const std::uint64_t begin = now_ns();
  if (!xen.domain(domid)) return refused(at("it does not exist", domid));
  auto memory = GuestMemory::open(xen, domid);
  if (!memory) return std::unexpected(memory.error());

  abi::Vitals vitals;
  if (const auto read =
          memory->read(image.note().vitals_va, std::as_writable_bytes(std::span(&vitals, 1)));
      !read) {
    return refused(at("no vitals page where this image has it", domid));
  }
  if (!plausible(vitals)) return refused(at("its vitals page is none of ours", domid));
  const abi::Origin& origin = vitals.origin;
  if (origin.sum != abi::origin_sum(origin) || origin.nr_pages < image.pages()) {
    return refused(at("its vitals do not say where it came from; it has not begun yet", domid));
  }
  if (const auto same = same_image(image, *memory, domid); !same) {
    return std::unexpected(same.error());
  }

  std::vector<Mfn> table(image.pages());
  if (const auto read = memory->read(origin.p2m_va, std::as_writable_bytes(std::span(table)));
      !read) {
    return std::unexpected(read.error());
  }
  BuiltDomain built{.domid = domid,
                    .console_port = origin.console_port,
                    .console_frame = origin.console_mfn,
                    .start_info = origin.start_info_va,
                    .image_frames = {},
                    .build_ns = 0,
                    .store_port = origin.store_port,
                    .store_frame = origin.store_mfn};
  for (std::size_t page = 0; page < image.pages(); ++page) {
    const auto mapped = memory->page(image.virtual_base() + page * kPageSize);
    built.image_frames.push_back(mapped ? mapped->frame : table[page]);
  }
  built.build_ns = now_ns() - begin;
  return built;
}

}  // namespace ppvmm::root

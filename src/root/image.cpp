#include "root/image.hpp"

#define XXH_INLINE_ALL
#include <xen/elfnote.h>
#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "abi/vitals.hpp"
#include "root/elf_view.hpp"
#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

/// An image of ours is under 1 MiB without its debug information; this only bounds a mistake.
constexpr std::size_t kLargestFile = 256U << 20U;
constexpr std::size_t kPage = abi::kPageBytes;

std::optional<std::uint64_t> xen_number(const ElfView& elf, std::uint32_t type) {
  const auto note = elf.note("Xen", type);
  return note ? read_as<std::uint64_t>(*note) : std::nullopt;
}

std::optional<abi::ImageNote> our_note(const ElfView& elf) {
  const auto bytes = elf.note(abi::kImageNoteName.data(), abi::kImageNoteType);
  const auto note = bytes ? read_as<abi::ImageNote>(*bytes) : std::nullopt;
  if (!note || note->version != abi::kImageNoteVersion || note->bytes != sizeof(abi::ImageNote)) {
    return std::nullopt;
  }
  return note;
}

bool inside(const abi::ImageNote& note, std::uint64_t base, std::size_t pages) {
  const auto holds = [&](std::uint64_t address, std::uint64_t size) {
    const std::uint64_t room = pages * kPage;
    return address >= base && address - base <= room && size <= room - (address - base);
  };
  const bool ranges_inside = std::ranges::all_of(note.ranges, [&](const abi::ImageRange& range) {
    return range.action == abi::RangeAction::none ||
           (range.va % kPage == 0 && range.bytes % kPage == 0 && holds(range.va, range.bytes));
  });
  return ranges_inside && note.virt_base == base && note.vitals_va % kPage == 0 &&
         holds(note.vitals_va, note.vitals_bytes) && holds(note.reentry_va, 1) &&
         holds(note.reentry_stack, 0);
}

Result<std::vector<std::byte>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return failed("open image " + path);
  const auto size = static_cast<std::streamoff>(file.tellg());
  if (size < 0 || static_cast<std::size_t>(size) > kLargestFile) {
    return refused("image " + path + " is too large to be one");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) return failed("read image " + path);
  return bytes;
}

}  // namespace

Result<Image> Image::load(const std::string& path) {
  auto bytes = read_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  auto image = parse(std::move(*bytes), path);
  if (image && image->symbols_.empty()) {
    if (const auto debug = read_file(path + ".debug")) {
      if (const auto elf = ElfView::open(*debug)) image->symbols_ = SymbolTable(elf->symbols());
    }
  }
  return image;
}

Result<Image> Image::parse(std::vector<std::byte> bytes, std::string path) {
  Image image;
  image.bytes_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  image.path_ = std::move(path);
  image.hash_ = XXH3_64bits(image.bytes_->data(), image.bytes_->size());

  const auto elf = ElfView::open(*image.bytes_);
  if (!elf) return refused(image.path_ + " is not a 64-bit x86 ELF file");
  const auto base = xen_number(*elf, XEN_ELFNOTE_VIRT_BASE);
  if (!base) return refused(image.path_ + " has no Xen ELF notes: not a PV kernel");
  image.virtual_base_ = *base;

  std::uint64_t end = *base;
  for (const Elf64_Phdr& program : elf->program_headers()) {
    if (program.p_type != PT_LOAD || program.p_memsz == 0) continue;
    const auto contents = elf->contents(program);
    if (contents.size() != program.p_filesz || program.p_filesz > program.p_memsz ||
        program.p_vaddr < *base || program.p_vaddr + program.p_memsz < program.p_vaddr) {
      return refused(image.path_ + " has a damaged segment");
    }
    image.segments_.push_back(
        {.address = program.p_vaddr, .memory_size = program.p_memsz, .contents = contents});
    end = std::max(end, program.p_vaddr + program.p_memsz);
  }
  if (image.segments_.empty()) return refused(image.path_ + " has nothing to load");
  image.pages_ = (end - *base + kPage - 1) / kPage;
  const auto note = our_note(*elf);
  if (!note) return refused(image.path_ + " has no PpVMM note of a version this program knows");
  if (!inside(*note, *base, image.pages_)) {
    return refused(image.path_ + ": its PpVMM note points outside the image");
  }
  image.note_ = *note;
  image.symbols_ = SymbolTable(elf->symbols());
  return image;
}

void Image::copy_pristine(std::uint64_t address, std::span<std::byte> out) const {
  std::ranges::fill(out, std::byte{});
  for (const Segment& segment : segments_) {
    const std::uint64_t begin = std::max(address, segment.address);
    const std::uint64_t end =
        std::min(address + out.size(), segment.address + segment.contents.size());
    if (begin >= end) continue;
    std::ranges::copy(segment.contents.subspan(begin - segment.address, end - begin),
                      out.begin() + static_cast<std::ptrdiff_t>(begin - address));
  }
}

}  // namespace ppvmm::root

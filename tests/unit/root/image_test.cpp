// Image parsing against files built here, byte by byte: good ones, and every way to be bad.
#include "root/image.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "abi/vitals.hpp"

namespace ppvmm::root {
namespace {

constexpr std::uint64_t kBase = 0x100000;
constexpr std::uint32_t kVirtBaseNote = 3;  // XEN_ELFNOTE_VIRT_BASE

/// A small image: one loadable segment (a page of file, two pages of memory) and its notes.
struct Draft {
  abi::ImageNote note{};
  Elf64_Phdr load{};
  bool xen_note{true};
  std::uint16_t machine{EM_X86_64};

  Draft() {
    note.version = abi::kImageNoteVersion;
    note.bytes = sizeof note;
    note.virt_base = kBase;
    note.vitals_va = kBase + 0x2000;
    note.vitals_bytes = sizeof(abi::VitalsRegion);
    note.reentry_va = kBase + 0x10;
    note.reentry_stack = kBase + 0x2000;
    note.ranges[0] = {kBase, 0x1000, abi::RangeAction::restore, abi::RangeAccess::read_execute};
    note.ranges[1] = {kBase + 0x1000, 0x1000, abi::RangeAction::zero, abi::RangeAccess::read_write};
    load.p_type = PT_LOAD;
    load.p_offset = 0x1000;
    load.p_vaddr = kBase;
    load.p_filesz = 0x800;
    load.p_memsz = 0x2000 + sizeof(abi::VitalsRegion);
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> file(0x2000);
    std::vector<std::byte> notes;
    if (xen_note) {
      add_note(notes, "Xen", kVirtBaseNote, &kBase, sizeof kBase);
    }
    add_note(notes, "PpVMM", abi::kImageNoteType, &note, sizeof note);

    Elf64_Ehdr head{};
    std::memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_machine = machine;
    head.e_phoff = sizeof head;
    head.e_phentsize = sizeof(Elf64_Phdr);
    head.e_phnum = 2;
    Elf64_Phdr note_header{};
    note_header.p_type = PT_NOTE;
    note_header.p_offset = 0x400;
    note_header.p_filesz = notes.size();
    std::memcpy(file.data(), &head, sizeof head);
    std::memcpy(file.data() + sizeof head, &load, sizeof load);
    std::memcpy(file.data() + sizeof head + sizeof load, &note_header, sizeof note_header);
    std::ranges::copy(notes, file.begin() + 0x400);
    std::fill(file.begin() + 0x1000, file.begin() + 0x1800, std::byte{0xC3});
    return file;
  }

  static void add_note(std::vector<std::byte>& out, std::string_view name, std::uint32_t type,
                       const void* data, std::size_t size) {
    const Elf64_Nhdr head{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(size),
                          type};
    const auto append = [&](const void* from, std::size_t count) {
      const auto* bytes = static_cast<const std::byte*>(from);
      out.insert(out.end(), bytes, bytes + count);
      out.resize((out.size() + 3U) & ~std::size_t{3});
    };
    append(&head, sizeof head);
    append(std::string(name).c_str(), name.size() + 1);
    append(data, size);
  }
};

TEST(Image, KnowsItsNoteAndItsPristineBytes) {
  const auto image = Image::parse(Draft().bytes(), "test");
  ASSERT_TRUE(image) << image.error().text();
  EXPECT_EQ(image->virtual_base(), kBase);
  EXPECT_EQ(image->note().reentry_va, kBase + 0x10);
  EXPECT_EQ(image->pages(), 2U + abi::kVitalsPages);

  std::vector<std::byte> out(0x1000, std::byte{1});
  image->copy_pristine(kBase + 0x400, out);
  EXPECT_EQ(out[0x3FF], std::byte{0xC3});
  EXPECT_EQ(out[0x400], std::byte{0});  // the file ends there
  image->copy_pristine(kBase + 0x10000, out);
  EXPECT_TRUE(std::ranges::all_of(out, [](std::byte b) { return b == std::byte{0}; }));
}

TEST(Image, HashNamesTheContents) {
  auto bytes = Draft().bytes();
  const auto first = Image::parse(bytes, "a");
  bytes[0x1234] ^= std::byte{1};
  const auto second = Image::parse(bytes, "b");
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->hash(), second->hash());
}

TEST(Image, RefusesWhatIsNone) {
  EXPECT_FALSE(Image::parse({}, "empty"));
  EXPECT_FALSE(Image::load("/nonexistent/image"));
  Draft other;
  other.machine = EM_AARCH64;
  EXPECT_FALSE(Image::parse(other.bytes(), "other machine"));
  Draft no_xen;
  no_xen.xen_note = false;
  EXPECT_FALSE(Image::parse(no_xen.bytes(), "no Xen note"));
}

TEST(Image, RefusesANoteThatLies) {
  const auto refused = [](auto change) {
    Draft draft;
    change(draft);
    return !Image::parse(draft.bytes(), "test");
  };
  EXPECT_TRUE(refused([](Draft& d) { d.note.version = 99; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.virt_base = 0; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.vitals_va = kBase + 0x1000000; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.vitals_va = kBase + 8; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.reentry_va = kBase - 1; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.ranges[0].bytes = ~std::uint64_t{0xFFF}; }));
  EXPECT_TRUE(refused([](Draft& d) { d.note.ranges[5] = {1, 2, abi::RangeAction::keep, {}}; }));
  EXPECT_TRUE(refused([](Draft& d) { d.load.p_filesz = 0x100000; }));
  EXPECT_TRUE(refused([](Draft& d) { d.load.p_vaddr = kBase - 0x1000; }));
  EXPECT_TRUE(refused([](Draft& d) { d.load.p_memsz = 1; }));
  EXPECT_FALSE(refused([](Draft&) {}));
}

// Not one prefix of a good file, and no file with one byte changed, may crash the parser.
TEST(Image, SurvivesDamagedFiles) {
  const auto good = Draft().bytes();
  for (std::size_t size = 0; size < 0x800; ++size) {
    static_cast<void>(Image::parse({good.begin(), good.begin() + static_cast<long>(size)}, "cut"));
  }
  for (std::size_t at = 0; at < 0x600; ++at) {
    for (const auto value : {std::byte{0xFF}, std::byte{0x80}, std::byte{0}}) {
      auto bytes = good;
      bytes[at] = value;
      if (const auto image = Image::parse(std::move(bytes), "bent")) {
        EXPECT_LE(image->note().ranges[0].bytes / abi::kPageBytes, image->pages());
      }
    }
  }
}

TEST(Symbols, NamesFunctionsAndLeavesTheRestInHex) {
  const SymbolTable table({{0x2000, 0x10, "_ZN5ppvmm4mainEv"}, {0x1000, 0, "start"}});
  EXPECT_EQ(table.describe(0x2008), "ppvmm::main()+0x8");
  EXPECT_EQ(table.describe(0x1234), "start+0x234");
  EXPECT_EQ(table.describe(0x2011), "0x2011");
  EXPECT_EQ(table.describe(0xFFF), "0xfff");
  EXPECT_EQ(table.find("start"), 0x1000U);
  EXPECT_EQ(table.find("absent"), 0U);
}

}  // namespace
}  // namespace ppvmm::root

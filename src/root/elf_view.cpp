#include "root/elf_view.hpp"

#include <utility>

namespace ppvmm::root {
namespace {

template <class T>
bool read_table(std::span<const std::byte> bytes, std::uint64_t offset, std::uint16_t count,
                std::uint16_t entry_size, std::vector<T>& out) {
  if (count == 0) return true;
  if (entry_size != sizeof(T)) return false;
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto entry = read_as<T>(bytes, offset + std::uint64_t{i} * sizeof(T));
    if (!entry) return false;
    out.push_back(*entry);
  }
  return true;
}

std::string_view text_at(std::span<const std::byte> strings, std::uint64_t offset) {
  if (offset >= strings.size()) return {};
  const std::string_view all(reinterpret_cast<const char*>(strings.data()), strings.size());
  return all.substr(offset, all.substr(offset).find('\0'));
}

}  // namespace

std::optional<ElfView> ElfView::open(std::span<const std::byte> bytes) {
  const auto header = read_as<Elf64_Ehdr>(bytes);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != EM_X86_64) {
    return std::nullopt;
  }
  ElfView view(bytes);
  if (!read_table(bytes, header->e_phoff, header->e_phnum, header->e_phentsize, view.programs_) ||
      !read_table(bytes, header->e_shoff, header->e_shnum, header->e_shentsize, view.sections_)) {
    return std::nullopt;
  }
  return view;
}

std::span<const std::byte> ElfView::slice(std::uint64_t offset, std::uint64_t size) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
  return bytes_.subspan(offset, size);
}

std::span<const std::byte> ElfView::contents(const Elf64_Phdr& header) const {
  return slice(header.p_offset, header.p_filesz);
}

std::optional<std::span<const std::byte>> ElfView::note(std::string_view owner,
                                                        std::uint32_t type) const {
  const auto padded = [](std::uint64_t size) { return (size + 3U) & ~std::uint64_t{3}; };
  for (const Elf64_Phdr& program : programs_) {
    if (program.p_type != PT_NOTE) continue;
    auto notes = contents(program);
    while (const auto head = read_as<Elf64_Nhdr>(notes)) {
      const std::uint64_t name_at = sizeof(Elf64_Nhdr);
      const std::uint64_t description_at = name_at + padded(head->n_namesz);
      const std::uint64_t end = description_at + padded(head->n_descsz);
      if (description_at + head->n_descsz > notes.size()) break;
      const std::string_view name = text_at(notes.subspan(name_at, head->n_namesz), 0);
      if (name == owner && head->n_type == type) {
        return notes.subspan(description_at, head->n_descsz);
      }
      if (end >= notes.size()) break;
      notes = notes.subspan(end);
    }
  }
  return std::nullopt;
}

std::vector<Symbol> ElfView::symbols() const {
  std::vector<Symbol> found;
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections_.size()) continue;
    const auto table = slice(section.sh_offset, section.sh_size);
    const Elf64_Shdr& names = sections_[section.sh_link];
    const auto strings = slice(names.sh_offset, names.sh_size);
    for (std::uint64_t at = 0; const auto entry = read_as<Elf64_Sym>(table, at);
         at += sizeof(Elf64_Sym)) {
      const auto kind = ELF64_ST_TYPE(entry->st_info);
      if (entry->st_shndx == SHN_UNDEF || kind == STT_SECTION || kind == STT_FILE) continue;
      const std::string_view name = text_at(strings, entry->st_name);
      if (!name.empty()) found.push_back({entry->st_value, entry->st_size, std::string(name)});
    }
  }
  return found;
}

}  // namespace ppvmm::root

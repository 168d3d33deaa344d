/// Bounds-checked reading of an ELF-64 file in memory: headers, notes, symbols.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "root/symbols.hpp"

namespace ppvmm::root {

class ElfView {
 public:
  /// Nothing when the bytes are not a complete x86-64 ELF file whose tables lie inside it.
  [[nodiscard]] static std::optional<ElfView> open(std::span<const std::byte> bytes);

  [[nodiscard]] const std::vector<Elf64_Phdr>& program_headers() const { return programs_; }
  /// The bytes a program header covers in the file; empty when they would run past its end.
  [[nodiscard]] std::span<const std::byte> contents(const Elf64_Phdr& header) const;
  /// The description of the note `type` of `owner`, from the PT_NOTE segments.
  [[nodiscard]] std::optional<std::span<const std::byte>> note(std::string_view owner,
                                                               std::uint32_t type) const;
  /// The functions and objects of .symtab; empty for a stripped file.
  [[nodiscard]] std::vector<Symbol> symbols() const;

 private:
  explicit ElfView(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::span<const std::byte> slice(std::uint64_t offset, std::uint64_t size) const;

  std::span<const std::byte> bytes_;
  std::vector<Elf64_Phdr> programs_;
  std::vector<Elf64_Shdr> sections_;
};

/// Reads a T out of raw bytes without any assumption about alignment.
template <class T>
[[nodiscard]] std::optional<T> read_as(std::span<const std::byte> bytes, std::uint64_t offset = 0) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

}  // namespace ppvmm::root

/// Names for addresses: the symbol table of a unikernel image, read from its own ELF file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ppvmm::root {

/// A function of the image.
struct Symbol {
  std::uint64_t address{};
  std::uint64_t size{};  ///< 0 when the assembler gave none.
  std::string name;      ///< As the compiler wrote it (mangled).
};

class SymbolTable {
 public:
  SymbolTable() = default;
  explicit SymbolTable(std::vector<Symbol> symbols);

  /// "function+0x12" in source form, or the bare address in hex when no function holds it.
  [[nodiscard]] std::string describe(std::uint64_t address) const;
  /// Address of the symbol with this (mangled) name; 0 when there is none.
  [[nodiscard]] std::uint64_t find(const std::string& name) const;
  [[nodiscard]] bool empty() const { return symbols_.empty(); }

 private:
  std::vector<Symbol> symbols_;  // ascending by address
};

}  // namespace ppvmm::root

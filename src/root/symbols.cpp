#include "root/symbols.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

namespace ppvmm::root {
namespace {

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : name;
}

}  // namespace

SymbolTable::SymbolTable(std::vector<Symbol> symbols) : symbols_(std::move(symbols)) {
  std::ranges::stable_sort(symbols_, {}, &Symbol::address);
}

std::string SymbolTable::describe(std::uint64_t address) const {
  const auto after = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
  if (after == symbols_.begin()) return fmt::format("{:#x}", address);
  const Symbol& symbol = *std::prev(after);
  const std::uint64_t offset = address - symbol.address;
  // A return address behind a call that never returns lies just past its function.
  if (symbol.size != 0 && offset > symbol.size) return fmt::format("{:#x}", address);
  return fmt::format("{}+{:#x}", demangled(symbol.name), offset);
}

std::uint64_t SymbolTable::find(const std::string& name) const {
  const auto found = std::ranges::find(symbols_, name, &Symbol::name);
  return found == symbols_.end() ? 0 : found->address;
}

}  // namespace ppvmm::root

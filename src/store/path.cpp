#include "store/path.hpp"

#include <algorithm>
#include <array>

#include "store/wire.hpp"

namespace ppvmm::store {
namespace {

constexpr std::array<bool, 256> kNameCharacters = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "abcdefghijklmnopqrstuvwxyz"
                                       "0123456789-/_@")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

constexpr std::string_view kDomains = "/local/domain/";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool has_valid_characters(std::string_view path) {
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return kNameCharacters[static_cast<unsigned char>(c)]; });
}

bool is_canonical(std::string_view path) {
  if (path.empty() || path.size() > kAbsolutePathMax) return false;
  if (path[0] != '/' && path[0] != '@') return false;
  if (path == "/") return true;
  return path.back() != '/' && path.find("//") == std::string_view::npos &&
         has_valid_characters(path);
}

std::size_t name_start(std::string_view path) {
  for (std::size_t at = path.size(); at > 0; --at) {
    const char c = path[at - 1];
    if (c == '/') return at == path.size() ? 0 : at;
    if (!kNameCharacters[static_cast<unsigned char>(c)]) return 0;
  }
  return 0;
}

std::string domain_path(DomId domid) {
  std::string path(kDomains);
  path += std::to_string(domid);
  return path;
}

std::size_t counted_length(std::string_view path) {
  if (!path.starts_with(kDomains)) return path.size();
  std::size_t at = kDomains.size();
  const std::size_t limit = std::min(path.size(), at + 5);  // a domid has up to five digits
  while (at < limit && is_digit(path[at]))
    ++at;
  const bool has_domid = at > kDomains.size() && at < path.size() && path[at] == '/';
  return has_domid ? path.size() - (at + 1) : path.size();
}

std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return path;
  return path.substr(0, slash == 0 ? 1 : slash);
}

std::string_view base_name(std::string_view path) {
  if (path == "/") return path;
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_at_or_below(std::string_view path, std::string_view ancestor) {
  if (!path.starts_with(ancestor)) return false;
  if (path.size() == ancestor.size()) return true;
  return ancestor == "/" || path[ancestor.size()] == '/';
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > max / 10 || value * 10 > max - digit) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<DomId> parse_domid(std::string_view text) {
  const auto number = parse_number(text, 0xFFFF);
  if (!number) return std::nullopt;
  return static_cast<DomId>(*number);
}

}  // namespace ppvmm::store

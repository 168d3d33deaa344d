#include "kernel/start.hpp"

namespace ppvmm::kernel {

std::optional<std::string_view> find_option(std::string_view command_line, std::string_view name) {
  while (!command_line.empty()) {
    const std::size_t end = command_line.find(' ');
    const std::string_view word = command_line.substr(0, end);
    command_line.remove_prefix(end == std::string_view::npos ? command_line.size() : end + 1);
    if (!word.starts_with(name)) continue;
    const std::string_view rest = word.substr(name.size());
    if (rest.empty()) return rest;
    if (rest.front() == '=') return rest.substr(1);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> find_number(std::string_view command_line, std::string_view name) {
  const auto text = find_option(command_line, name);
  if (!text || text->empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char letter : *text) {
    if (letter < '0' || letter > '9') return std::nullopt;
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value)) return std::nullopt;
    if (__builtin_add_overflow(value, static_cast<std::uint64_t>(letter - '0'), &value)) {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace ppvmm::kernel

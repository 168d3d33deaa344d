#include "pci/device.hpp"

#include <cstring>

#include "abi/checksum.hpp"
#include "pci/kept.hpp"

namespace ppvmm::pci {
namespace {

/// Takes up to `most` hexadecimal digits off the front; nothing without a single one.
std::optional<std::uint32_t> take_hex(std::string_view& text, std::size_t most) {
  std::uint32_t value = 0;
  std::size_t digits = 0;
  while (digits < most && digits < text.size()) {
    const char letter = text[digits];
    std::uint32_t digit = 0;
    if (letter >= '0' && letter <= '9') {
      digit = static_cast<std::uint32_t>(letter - '0');
    } else if (letter >= 'a' && letter <= 'f') {
      digit = static_cast<std::uint32_t>(letter - 'a' + 10);
    } else if (letter >= 'A' && letter <= 'F') {
      digit = static_cast<std::uint32_t>(letter - 'A' + 10);
    } else {
      break;
    }
    value = value << 4 | digit;
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char letter) {
  if (text.empty() || text.front() != letter) return false;
  text.remove_prefix(1);
  return true;
}

std::uint64_t sum_of(const Kept& kept) {
  static_assert(sizeof(Kept) % sizeof(std::uint64_t) == 0);
  const auto* const bytes = reinterpret_cast<const std::byte*>(&kept);
  std::uint64_t state = 0x6B657074;
  for (std::size_t at = sizeof kept.sum; at < sizeof kept; at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof word);
    state = abi::mix(state, word);
  }
  return state;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const auto domain = take_hex(text, 4);
  if (!domain || !take(text, ':')) return std::nullopt;
  const auto bus = take_hex(text, 2);
  if (!bus || !take(text, ':')) return std::nullopt;
  const auto slot = take_hex(text, 2);
  if (!slot || *slot > 31 || !take(text, '.')) return std::nullopt;
  const auto function = take_hex(text, 2);
  if (!function || *function > 7 || !text.empty()) return std::nullopt;
  return Address{.domain = *domain, .bus = *bus, .devfn = *slot << 3 | *function};
}

void seal(Kept& kept) {
  kept.sum = sum_of(kept);
}

bool sound(const Kept& kept) {
  return kept.sum == sum_of(kept) && kept.count <= kDevicesMax && kept.backend.back() == '\0';
}

}  // namespace ppvmm::pci

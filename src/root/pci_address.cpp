#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "root/pci_assign.hpp"

namespace ppvmm::root {
namespace {

/// A hexadecimal number of at most `most`, read off the front of `text` up to `end` (or its end).
std::optional<std::uint32_t> take_number(std::string_view& text, char end, std::uint32_t most) {
  const std::size_t stop = end == '\0' ? text.size() : text.find(end);
  if (stop == std::string_view::npos || stop == 0) return std::nullopt;
  std::uint32_t value = 0;
  const char* const first = text.data();
  const auto read = std::from_chars(first, first + stop, value, 16);
  if (read.ec != std::errc{} || read.ptr != first + stop || value > most) {
    return std::nullopt;
  }
  text.remove_prefix(end == '\0' ? stop : stop + 1);
  return value;
}

}  // namespace

std::string PciAddress::text() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", segment, bus, device, function);
}

std::uint32_t PciAddress::machine_bdf() const {
  return std::uint32_t{segment} << 16U | std::uint32_t{bus} << 8U | std::uint32_t{device} << 3U |
         function;
}

Result<PciAddress> parse_pci_address(std::string_view text) {
  const std::string whole(text);
  const bool with_segment = text.find(':') != text.rfind(':');
  const auto segment = with_segment ? take_number(text, ':', 0xFFFF) : std::optional(0U);
  const auto bus = take_number(text, ':', 0xFF);
  const auto device = take_number(text, '.', 31);
  const auto function = take_number(text, '\0', 7);
  if (!segment || !bus || !device || !function) {
    return refused("\"" + whole + "\" is no PCI address; expected one like 00:10.0");
  }
  return PciAddress{.segment = static_cast<std::uint16_t>(*segment),
                    .bus = static_cast<std::uint8_t>(*bus),
                    .device = static_cast<std::uint8_t>(*device),
                    .function = static_cast<std::uint8_t>(*function)};
}

}  // namespace ppvmm::root

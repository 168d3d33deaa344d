#include "value.hpp"

#include <charconv>

namespace ppvmm::xshistory {
namespace {

constexpr std::string_view kHead = "xshistory.";

char filling(std::uint64_t seed, std::size_t at) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz012345";
  std::uint64_t mixed = (seed + at) * 0x9E37'79B9'7F4A'7C15;
  mixed = (mixed ^ mixed >> 32U) * 0xBF58'476D'1CE4'E5B9;
  mixed ^= mixed >> 29U ^ mixed >> 48U;
  return kLetters[mixed % kLetters.size()];
}

}  // namespace

std::string make_value(std::uint32_t client, std::uint64_t number, std::size_t size) {
  // The size is in the value: one that was cut short is not whole.
  std::string value = std::string(kHead) + std::to_string(client) + "." + std::to_string(number) +
                      "." + std::to_string(size) + ".";
  const std::uint64_t seed = (std::uint64_t{client} << 48U) ^ number;
  for (std::size_t at = 0; at < size; ++at)
    value += filling(seed, at);
  return value;
}

std::optional<std::string> value_name(std::string_view bytes) {
  if (!bytes.starts_with(kHead)) return std::nullopt;
  const char* at = bytes.data() + kHead.size();
  const char* const end = bytes.data() + bytes.size();
  std::uint64_t fields[3]{};  // client, number, size
  for (std::uint64_t& field : fields) {
    const auto parsed = std::from_chars(at, end, field);
    if (parsed.ec != std::errc{} || parsed.ptr == end || *parsed.ptr != '.') return std::nullopt;
    at = parsed.ptr + 1;
  }
  if (fields[2] != static_cast<std::uint64_t>(end - at)) return std::nullopt;
  const auto client = static_cast<std::uint32_t>(fields[0]);
  if (make_value(client, fields[1], fields[2]) != bytes) return std::nullopt;
  return std::to_string(client) + "." + std::to_string(fields[1]);
}

}  // namespace ppvmm::xshistory

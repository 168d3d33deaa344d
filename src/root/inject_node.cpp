#include "root/inject_node.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "store/node.hpp"

namespace ppvmm::root::inject {
namespace {

using store::Node;

constexpr std::uint32_t kMostReferences = 0xFFFF;
constexpr unsigned kHighest = 64;
constexpr std::uint16_t kLongestName = 256;

template <class T>
T value_at(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool plausible_fields(std::span<const std::byte> bytes, std::size_t at, std::uint16_t length) {
  const auto references = value_at<std::uint32_t>(bytes, at + offsetof(Node, references));
  const auto height = value_at<std::uint8_t>(bytes, at + offsetof(Node, height));
  const auto listing = value_at<std::uint32_t>(bytes, at + offsetof(Node, listing));
  if (references == 0 || references > kMostReferences || height == 0 || height > kHighest ||
      length == 0 || length > kLongestName || listing < length + 1U) {
    return false;
  }
  return std::ranges::all_of(
      std::array{offsetof(Node, left), offsetof(Node, right), offsetof(Node, children)},
      [&](std::size_t link) {
        return value_at<std::uint64_t>(bytes, at + link) % kNodeAlignment == 0;
      });
}

}  // namespace

std::optional<NodeText> text_of_node(std::span<const std::byte> bytes, std::size_t at) {
  const std::size_t text = at + sizeof(Node);
  if (at % kNodeAlignment != 0 || text > bytes.size()) return std::nullopt;
  const auto length = value_at<std::uint16_t>(bytes, at + offsetof(Node, name_length));
  if (!plausible_fields(bytes, at, length) || text + length > bytes.size()) return std::nullopt;
  const std::string_view name(reinterpret_cast<const char*>(bytes.data() + text), length);
  if (value_at<std::uint64_t>(bytes, at + offsetof(Node, prefix)) != store::name_prefix(name)) {
    return std::nullopt;
  }
  const auto value = value_at<std::uint32_t>(bytes, at + offsetof(Node, value_length));
  return NodeText{text, std::min<std::size_t>(std::size_t{length} + value, bytes.size() - text)};
}

}  // namespace ppvmm::root::inject

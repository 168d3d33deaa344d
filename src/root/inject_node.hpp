/// Recognising a node of the store's tree (store/node.hpp) in raw memory, by its shape. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace ppvmm::root::inject {

/// Blocks of the store's heap lie at multiples of this.
inline constexpr std::size_t kNodeAlignment = 16;

/// Where a node's name and value lie, from the beginning of the bytes that were looked at.
struct NodeText {
  std::size_t offset{};
  std::size_t length{};
};

/// The text of the node that lies at `at` in `bytes`; nothing if what is there does not look like
/// one. Of a node that runs past the end, the part that is there.
[[nodiscard]] std::optional<NodeText> text_of_node(std::span<const std::byte> bytes,
                                                   std::size_t at);

}  // namespace ppvmm::root::inject

/// Whose packet a frame is, so that its end can be told: what is in Frame::tag().
#pragma once

#include <cstdint>

#include "net/switch/table.hpp"

namespace ppvmm::net {

/// A packet in a guest's TX ring. Its tag is never 0: that is a frame from the wire.
struct Origin {
  PortId port;  ///< At least 1.
  std::uint8_t queue;
  std::uint16_t generation;  ///< Of the vif: ports are used again.
  std::uint32_t first;       ///< TxPacket::first.
};

[[nodiscard]] constexpr std::uint64_t tag_of(const Origin& origin) {
  return std::uint64_t{origin.port} << 56 | std::uint64_t{origin.queue} << 48 |
         std::uint64_t{origin.generation} << 32 | origin.first;
}
[[nodiscard]] constexpr Origin origin_of(std::uint64_t tag) {
  return {.port = static_cast<PortId>(tag >> 56),
          .queue = static_cast<std::uint8_t>(tag >> 48),
          .generation = static_cast<std::uint16_t>(tag >> 32),
          .first = static_cast<std::uint32_t>(tag)};
}

}  // namespace ppvmm::net

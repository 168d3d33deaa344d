/// What the starter of a load says first on each connection. Little endian; both ends are the same
/// program.
#pragma once

#include <cstdint>

namespace ppvmm::netload {

enum class Mode : char {
  send = 's',   ///< The starter streams; the answer is how many bytes came.
  get = 'g',    ///< The server streams until the connection is closed.
  echo = 'e',   ///< Pieces come back as they are.
  check = 'c',  ///< Both stream bytes that the other end judges (duplex.hpp).
};

struct Order {
  Mode mode{};
  char reserved[3]{};
  std::uint32_t size{};  ///< Bytes of each piece.
  std::uint64_t seed{};  ///< Of the starter's bytes; the server's follow from seed + 1. check only.
  std::uint64_t rate{};  ///< Bytes per second each way, 0: as fast as it goes. check only.
};
static_assert(sizeof(Order) == 24);

inline constexpr std::uint32_t kLargestPiece = 1u << 20;

}  // namespace ppvmm::netload

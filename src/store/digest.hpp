/// XXH3, the store's one hash: for lookups, checksums and digests. Not against forgers: it finds
/// accidents (a flipped bit, a wild write), and its value is the same on every replica.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ppvmm::store {

/// 64-bit hash of `size` bytes at `data`.
[[nodiscard]] std::uint64_t digest(const void* data, std::size_t size, std::uint64_t seed = 0);

[[nodiscard]] inline std::uint64_t digest(std::string_view text, std::uint64_t seed = 0) {
  return digest(text.data(), text.size(), seed);
}

}  // namespace ppvmm::store

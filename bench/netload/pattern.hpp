/// A stream of bytes that follow from a seed and their place in the stream, so that a receiver can
/// judge each of them without having seen those before. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ppvmm::netload {

/// The eight bytes at `index` * 8 of the stream (splitmix64, Steele, Lea and Flood 2014).
constexpr std::uint64_t pattern_word(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t word = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
  return word ^ (word >> 31);
}

/// Fills `bytes`, which begin at `offset` of the stream.
inline void fill_pattern(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t skip = (offset + at) % 8;
    const std::size_t count = bytes.size() - at < 8 - skip ? bytes.size() - at : 8 - skip;
    const std::uint64_t word = pattern_word(seed, (offset + at) / 8);
    std::memcpy(bytes.data() + at, reinterpret_cast<const char*>(&word) + skip, count);
    at += count;
  }
}

/// Index of the first byte that is not the stream's; bytes.size() when all are.
inline std::size_t first_wrong(std::uint64_t seed, std::uint64_t offset,
                               std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t skip = (offset + at) % 8;
    const std::size_t count = bytes.size() - at < 8 - skip ? bytes.size() - at : 8 - skip;
    const std::uint64_t word = pattern_word(seed, (offset + at) / 8);
    const auto* right = reinterpret_cast<const std::byte*>(&word) + skip;
    if (std::memcmp(bytes.data() + at, right, count) != 0) {
      for (std::size_t i = 0; i < count; ++i) {
        if (bytes[at + i] != right[i]) return at + i;
      }
    }
    at += count;
  }
  return bytes.size();
}

}  // namespace ppvmm::netload

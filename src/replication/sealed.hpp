/// Single words that say something important about a region: 48 bits of value and 16 bits that
/// check it. A store of one word is never torn, and a flipped bit is seen.
#pragma once

#include <cstdint>
#include <optional>

#include "abi/checksum.hpp"

namespace ppvmm::replication {

inline constexpr std::uint64_t kSealedMax = (std::uint64_t{1} << 48) - 1;

/// `place` (the word's offset in the region) keeps one word from passing for another.
constexpr std::uint64_t seal(std::uint64_t key, std::uint64_t place, std::uint64_t value) {
  const std::uint64_t check = abi::checksum({key, place, value & kSealedMax});
  return (check << 48) | (value & kSealedMax);
}

/// The value, or nothing when the word was damaged or never written.
constexpr std::optional<std::uint64_t> unseal(std::uint64_t key, std::uint64_t place,
                                              std::uint64_t word) {
  const std::uint64_t value = word & kSealedMax;
  if (seal(key, place, value) != word) return std::nullopt;
  return value;
}

/// Reads one word again and again. The check of bits that have been checked already is not made
/// again, so a word that seldom changes costs a load and a comparison.
class SealedReader {
 public:
  /// As unseal(). Key and place must be the same in every call.
  std::optional<std::uint64_t> read(std::uint64_t key, std::uint64_t place, std::uint64_t word) {
    if (value_ && word == word_) return value_;
    word_ = word;
    value_ = unseal(key, place, word);
    return value_;
  }

 private:
  std::uint64_t word_{};
  std::optional<std::uint64_t> value_;
};

}  // namespace ppvmm::replication

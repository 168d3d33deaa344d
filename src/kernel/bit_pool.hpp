/// Free numbers 0 .. N-1, one bit each. Pure. Taking one is a search from where the last was found;
/// a pool of 16384 fits in 2 KiB, which a microreboot has to clear.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ppvmm::kernel {

template <std::uint32_t N>
class BitPool {
  static_assert(N % 64 == 0);

 public:
  /// All taken.
  constexpr BitPool() = default;

  [[nodiscard]] std::uint32_t available() const { return available_; }
  [[nodiscard]] bool is_free(std::uint32_t number) const {
    return number < N && (words_[number / 64] >> number % 64 & 1) != 0;
  }
  /// Gives a number back; one that is free already stays so.
  void give(std::uint32_t number) {
    if (number >= N || is_free(number)) return;
    words_[number / 64] |= std::uint64_t{1} << number % 64;
    ++available_;
    if (number / 64 < hint_) hint_ = number / 64;
  }
  /// Gives back those of the 64 numbers from `first` (a multiple of 64) on whose bit is set.
  void give_word(std::uint32_t first, std::uint64_t bits) {
    std::uint64_t& word = words_[first / 64];
    available_ += static_cast<std::uint32_t>(std::popcount(bits & ~word));
    word |= bits;
    if (bits != 0 && first / 64 < hint_) hint_ = first / 64;
  }
  /// Gives back `count` numbers from `first` on.
  void give_range(std::uint32_t first, std::uint32_t count) {
    const std::uint32_t end = first + count;
    while (first < end) {
      const std::uint32_t in_word = std::min(64 - first % 64, end - first);
      const std::uint64_t ones =
          in_word == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in_word) - 1;
      give_word(first - first % 64, ones << first % 64);
      first += in_word;
    }
  }
  /// The 64 numbers from `first` on, a set bit for each that is free.
  [[nodiscard]] std::uint64_t word(std::uint32_t first) const { return words_[first / 64]; }
  /// Takes this very number; false if it is not free.
  [[nodiscard]] bool claim(std::uint32_t number) {
    if (!is_free(number)) return false;
    words_[number / 64] &= ~(std::uint64_t{1} << number % 64);
    --available_;
    return true;
  }
  /// The lowest free number.
  [[nodiscard]] std::optional<std::uint32_t> take() {
    for (; hint_ < words_.size(); ++hint_) {
      if (words_[hint_] == 0) continue;
      const auto number = static_cast<std::uint32_t>(
          hint_ * 64 + static_cast<unsigned>(std::countr_zero(words_[hint_])));
      (void)claim(number);
      return number;
    }
    return std::nullopt;
  }
  /// The highest run of `count` consecutive free numbers, taken; nothing if there is none. From the
  /// top, so that long runs and single numbers do not stand in each other's way.
  [[nodiscard]] std::optional<std::uint32_t> take_run(std::uint32_t count) {
    if (count == 0) return std::nullopt;
    std::uint32_t found = 0;
    for (std::uint32_t number = N; number-- > 0;) {
      found = is_free(number) ? found + 1 : 0;
      if (found < count) continue;
      for (std::uint32_t i = 0; i < count; ++i)
        (void)claim(number + i);
      return number;
    }
    return std::nullopt;
  }

 private:
  std::array<std::uint64_t, N / 64> words_{};
  std::size_t hint_{};  ///< No word below it has a free number.
  std::uint32_t available_{};
};

}  // namespace ppvmm::kernel

/// Lines of text built without allocation: for logs, panics and verdicts. Pure.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ppvmm::kernel {

/// Marks a number to be written in hexadecimal with 0x before it.
struct Hex {
  std::uint64_t value;
};

/// A text of at most `Capacity` bytes. What does not fit is cut off and noted in cut().
template <std::size_t Capacity>
class Text {
 public:
  Text() = default;
  template <typename... Parts>
  requires(sizeof...(Parts) > 0) explicit Text(const Parts&... parts) { (add(parts), ...); }

  Text& add(std::string_view text) {
    for (const char letter : text) {
      if (size_ == Capacity) {
        cut_ = true;
        break;
      }
      bytes_[size_++] = letter;
    }
    return *this;
  }
  Text& add(char letter) { return add(std::string_view(&letter, 1)); }
  Text& add(const char* text) { return add(std::string_view(text)); }
  Text& add(bool truth) {
    return add(truth ? std::string_view("true") : std::string_view("false"));
  }
  Text& add(Hex hex) {
    add("0x");
    return digits(hex.value, 16, 1);
  }
  template <std::integral Number>
  requires(!std::same_as<Number, char> && !std::same_as<Number, bool>) Text& add(Number number) {
    if constexpr (std::signed_integral<Number>) {
      if (number < 0) {
        add('-');
        return digits(std::uint64_t{0} - static_cast<std::uint64_t>(number), 10, 1);
      }
    }
    return digits(static_cast<std::uint64_t>(number), 10, 1);
  }
  template <std::size_t Other>
  Text& add(const Text<Other>& other) {
    return add(other.view());
  }

  /// `value` in `base` (2..16), padded with zeroes to at least `width` digits.
  Text& digits(std::uint64_t value, unsigned base, std::size_t width) {
    std::array<char, 64> reversed{};
    std::size_t count = 0;
    do {
      reversed[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count < width && count < reversed.size())
      reversed[count++] = '0';
    while (count > 0)
      add(reversed[--count]);
    return *this;
  }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] bool cut() const { return cut_; }

 private:
  std::array<char, Capacity> bytes_{};
  std::size_t size_{};
  bool cut_{};
};

}  // namespace ppvmm::kernel

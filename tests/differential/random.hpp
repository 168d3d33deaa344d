/// A random source whose sequence is fixed by its seed (the standard library's distributions are
/// not): SplitMix64, Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ppvmm::differential {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// 0 .. bound-1. The bias of the modulus does not matter for bounds this small.
  std::size_t below(std::size_t bound) { return next() % bound; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <typename T, std::size_t Size>
  const T& of(const T (&choices)[Size]) {
    return choices[below(Size)];
  }

 private:
  std::uint64_t state_;
};

}  // namespace ppvmm::differential

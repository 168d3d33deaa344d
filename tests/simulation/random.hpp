/// The simulator's only source of chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ppvmm::simulation {

/// SplitMix64 (Steele, Lea, Flood 2014): small, copyable, the same everywhere. The standard
/// distributions are not used, as their results differ between libraries.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15);
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound); bound is not zero. The bias of the modulo is far below what matters.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  /// True in `percent` of 100 cases.
  bool chance(unsigned percent) { return below(100) < percent; }
  /// One of the elements of a non-empty range.
  template <typename Range>
  auto& pick(Range& range) {
    return range[below(std::size(range))];
  }
  /// A count that is mostly small: 1 to `most`.
  std::size_t some(std::size_t most) { return 1 + below(1 + below(most)); }

 private:
  std::uint64_t state_;
};

}  // namespace ppvmm::simulation

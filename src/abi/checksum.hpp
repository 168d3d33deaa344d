/// The checksum of everything that must outlive a microreboot. Both sides compute it: the unikernel
/// when it writes and when it re-enters, root when it reads.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace ppvmm::abi {

/// One mixing step: bijective in `word` for a fixed `state` and in `state` for a fixed `word`, so a
/// change of a single word always changes the result.
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t word) {
  state = (state ^ word) * 0x9E3779B97F4A7C15u;
  state ^= state >> 32;
  state *= 0xD6E8FEB86659FD93u;
  return state ^ (state >> 29);
}

/// Checksum of a sequence of 64-bit words. Never zero, so zeroed memory is never valid.
constexpr std::uint64_t checksum(std::initializer_list<std::uint64_t> words) {
  std::uint64_t state = 0x50505653756D3031u;
  for (const std::uint64_t word : words)
    state = mix(state, word);
  return state == 0 ? 1 : state;
}

}  // namespace ppvmm::abi

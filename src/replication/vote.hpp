/// Which of three replicas is wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ppvmm::replication {

/// The primary and its backups.
inline constexpr std::size_t kBackups = 2;
inline constexpr std::size_t kReplicas = kBackups + 1;

enum class Verdict : std::uint8_t {
  agreed,       ///< All votes given are equal.
  one_odd,      ///< Two are equal and one is not: `odd` is wrong.
  no_majority,  ///< Two votes that differ, or three that all differ: somebody is wrong.
  not_enough,   ///< Fewer than two votes.
};

struct Vote {
  Verdict verdict{};
  std::size_t odd{};  ///< one_odd only: index of the wrong replica.
};

/// Compares the digests that the replicas have for one sequence number; nothing: no vote given.
[[nodiscard]] constexpr Vote vote(
    const std::array<std::optional<std::uint64_t>, kReplicas>& digests) {
  std::size_t given = 0;
  std::size_t equal_pairs = 0;
  std::size_t in_pair = 0;  // sum of the indexes of the last equal pair
  for (std::size_t i = 0; i < kReplicas; ++i) {
    if (!digests[i]) continue;
    ++given;
    for (std::size_t j = i + 1; j < kReplicas; ++j) {
      if (!digests[j] || *digests[i] != *digests[j]) continue;
      ++equal_pairs;
      in_pair = i + j;
    }
  }
  if (given < 2) return {Verdict::not_enough, 0};
  if (equal_pairs == given * (given - 1) / 2) return {Verdict::agreed, 0};
  if (equal_pairs == 1) return {Verdict::one_odd, 0 + 1 + 2 - in_pair};
  return {Verdict::no_majority, 0};
}

}  // namespace ppvmm::replication

/// How much work a unikernel has done, as its vitals page counts it: for drills that must hit it
/// when it is busiest.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "root/failure.hpp"
#include "root/vitals_view.hpp"

namespace ppvmm::root {

/// All progress counters together: grows with every piece of work.
[[nodiscard]] std::uint64_t progress_sum(const VitalsView& vitals);

struct ProgressSample {
  std::uint64_t at_ns{};  ///< Dom0's monotonic clock.
  std::uint64_t count{};  ///< Pieces of work since sampling began.
};

/// Looks every `pace` for `length`; only looks that found progress are kept.
[[nodiscard]] std::vector<ProgressSample> sample_progress(const VitalsView& vitals,
                                                          std::chrono::milliseconds length,
                                                          std::chrono::microseconds pace);

/// Returns once `count` pieces of work were done since the call, or fails after `limit`.
[[nodiscard]] Result<void> await_progress(const VitalsView& vitals, std::uint64_t count,
                                          std::chrono::milliseconds limit);

}  // namespace ppvmm::root

/// Mean and percentiles of a series of measurements.
#pragma once

#include <cstddef>
#include <vector>

namespace ppvmm::root {

struct Summary {
  std::size_t n{};
  double mean{};
  double p50{};
  double p95{};
  double p99{};
  double min{};
  double max{};
};

/// Percentiles are by nearest rank: always a value that was measured. An empty series gives zeros.
[[nodiscard]] Summary summarise(std::vector<double> samples);

}  // namespace ppvmm::root

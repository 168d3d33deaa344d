#include "root/summary.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ppvmm::root {

Summary summarise(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const auto count = static_cast<double>(samples.size());
  const auto rank = [&](double share) {
    const auto place = static_cast<std::size_t>(std::ceil(share * count));
    return samples[std::max<std::size_t>(place, 1) - 1];
  };
  return {.n = samples.size(),
          .mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count,
          .p50 = rank(0.50),
          .p95 = rank(0.95),
          .p99 = rank(0.99),
          .min = samples.front(),
          .max = samples.back()};
}

}  // namespace ppvmm::root

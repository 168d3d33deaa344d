#include "differential/shrink.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::differential {
namespace {

Scenario without(const Scenario& scenario, std::size_t first, std::size_t count) {
  Scenario smaller = scenario;
  const auto begin = smaller.steps.begin() + static_cast<std::ptrdiff_t>(first);
  smaller.steps.erase(
      begin, begin + static_cast<std::ptrdiff_t>(std::min(count, smaller.steps.size() - first)));
  return smaller;
}

}  // namespace

Scenario shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails,
                std::size_t budget) {
  // What matters is usually near the end, so chunks are tried from there.
  for (std::size_t chunk = std::max<std::size_t>(1, scenario.steps.size() / 2);;) {
    bool removed = false;
    for (std::size_t end = scenario.steps.size(); end > 0 && budget > 0;) {
      const std::size_t first = end > chunk ? end - chunk : 0;
      Scenario smaller = without(scenario, first, end - first);
      --budget;
      if (fails(smaller)) {
        scenario = std::move(smaller);
        removed = true;
      }
      end = first;
    }
    if (budget == 0 || (chunk == 1 && !removed)) return scenario;
    if (!removed || chunk > 1) chunk = std::max<std::size_t>(1, chunk / 2);
  }
}

}  // namespace ppvmm::differential

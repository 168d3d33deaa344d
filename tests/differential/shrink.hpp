/// Makes a failing scenario small: delta debugging (Zeller, Hildebrandt, "Simplifying and isolating
/// failure-inducing input", 2002) over its steps.
#pragma once

#include <cstddef>
#include <functional>

#include "differential/step.hpp"

namespace ppvmm::differential {

/// The smallest scenario found for which `fails` still holds; it holds for `scenario`. Calls
/// `fails` at most `budget` times.
[[nodiscard]] Scenario shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails,
                              std::size_t budget);

}  // namespace ppvmm::differential

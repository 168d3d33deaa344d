/// A verdict for programs.
#pragma once

#include <string>

#include "checker.hpp"

namespace ppvmm::xshistory {

/// One JSON object: counts, violations, errors shown, gaps, the longest gap of each client (ms).
[[nodiscard]] std::string to_json(const Verdict& verdict);

}  // namespace ppvmm::xshistory

/// The machine looks at itself: CONTROL check, and tests after every step.
#pragma once

#include <optional>
#include <string>

#include "store/state.hpp"

namespace ppvmm::store {

/// Verifies every committed node's checksum, the shape of all search trees, and that digest, counts
/// and charges are what a recount gives. Nothing if all is well, else what is wrong.
[[nodiscard]] std::optional<std::string> find_inconsistency(const State& state);

}  // namespace ppvmm::store

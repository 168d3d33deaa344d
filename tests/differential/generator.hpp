/// Random scenarios: the same seed gives the same steps on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "differential/step.hpp"

namespace ppvmm::differential {

/// A scenario of about `steps` steps after a fixed prelude: two socket clients, three domains that
/// are introduced and own their /local/domain/<domid>, and a common directory /t that everybody may
/// write. A third of the seeds run with small limits, so that quotas are crossed.
[[nodiscard]] Scenario generate(std::uint64_t seed, std::size_t steps);

}  // namespace ppvmm::differential

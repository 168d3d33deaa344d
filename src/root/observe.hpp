/// What Xen and a vitals page say, as one Observation for the judge.
#pragma once

#include <cstdint>

#include "abi/vitals.hpp"
#include "root/judge.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// `page` must have been copied after `facts` were asked for: what it says once the domain has
/// stopped is then its last word.
[[nodiscard]] Observation observation_of(const DomainFacts& facts, const abi::Vitals& page,
                                         std::uint64_t now_ns);

}  // namespace ppvmm::root

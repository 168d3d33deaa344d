#include "root/daemon/policy.hpp"

#include "abi/net_uk.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1000 * kMs;

/// A hang is to be known after 20 ms: a third of it is silence, a third the time for an answer, and
/// the rest is how seldom root looks. One that sleeps with nothing to do is asked four times a
/// second.
constexpr Patience kPatience{
    .start_ns = 2 * kSecond, .silence_ns = 6 * kMs, .idle_ns = 250 * kMs, .answer_ns = 6 * kMs};

/// Enough for somebody who injects faults all day; one that fails this often without help is
/// broken.
constexpr RepairLimits kLimits{.microreboots = 20, .rebuilds = 10, .window_ns = 10 * kSecond};

}  // namespace

std::optional<Policy> preset(std::string_view name) {
  Policy policy;
  policy.name = name;
  policy.patience = kPatience;
  policy.limits = kLimits;
  if (name == "fg") return policy;
  if (name == "cg") {
    policy.words = abi::net_uk::kCoarse;
    return policy;
  }
  if (name == "tfd") {
    policy.limits.microreboots = 0;
    policy.needs_spare = true;
    return policy;
  }
  if (name == "xoar") {
    policy.detect = false;
    policy.refresh_ns = kSecond;
    // Nor does it look after its own parts: what breaks is broken until the next refresh.
    policy.words =
        std::string(abi::net_uk::kLoseUnanswered).append(" ").append(abi::net_uk::kCoarse);
    return policy;
  }
  return std::nullopt;
}

}  // namespace ppvmm::root::daemon

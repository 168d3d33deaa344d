#include "store/throttle.hpp"

#include <algorithm>

namespace ppvmm::store {

void Throttle::domain_added(Domain& domain, std::uint64_t now_ms) {
  ++domains_;
  domain.write_credit = kBurst;
  domain.credit_updated_ms = now_ms;
}

void Throttle::domain_removed(Domain& domain) {
  --domains_;
  domain.write_credit = 0;
}

void Throttle::charge(Domain& domain, std::uint64_t now_ms) {
  refill(domain, now_ms);
  domain.write_credit -= kWrite;
  const std::int64_t help = std::clamp<std::int64_t>(-domain.write_credit, 0, reserve_);
  domain.write_credit += help;
  reserve_ -= help;
}

bool Throttle::refill(Domain& domain, std::uint64_t now_ms) {
  const bool was_blocked = blocks(domain);
  // After an hour any credit is full; more would only overflow.
  const std::uint64_t elapsed =
      std::min<std::uint64_t>(now_ms - domain.credit_updated_ms, 3'600'000);
  const std::int64_t gained =
      static_cast<std::int64_t>(elapsed) * kRatePerMs / std::max<std::int64_t>(domains_, 1);
  // With many domains a millisecond earns nothing by itself: let it add up.
  if (gained == 0) return false;
  domain.credit_updated_ms = now_ms;
  domain.write_credit += gained;
  const std::int64_t surplus = std::max<std::int64_t>(domain.write_credit - kBurst, 0);
  domain.write_credit -= surplus;
  reserve_ = std::min(reserve_ + surplus, kReserve);
  return was_blocked && !blocks(domain);
}

std::optional<std::uint64_t> Throttle::free_at_ms(const Domain& domain) const {
  if (!blocks(domain)) return std::nullopt;
  const std::int64_t debt = -domain.write_credit * std::max<std::int64_t>(domains_, 1);
  return domain.credit_updated_ms +
         static_cast<std::uint64_t>((debt + kRatePerMs - 1) / kRatePerMs);
}

}  // namespace ppvmm::store

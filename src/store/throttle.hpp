/// Limits how fast a domain may make others' transactions fail (XSA-206).
///
/// Every domain has credit for writes, refilled at its share of a rate for the whole host. A write
/// that could spoil somebody's open transaction costs one; a domain in debt is not read from until
/// it is out of it. What a domain does not use collects in a reserve, up to a bound, from which
/// those in need take first. So bursts pass, and only a lasting flood is slowed down.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "store/domain.hpp"

namespace ppvmm::store {

class Throttle {
 public:
  void domain_added(Domain& domain, std::uint64_t now_ms);
  void domain_removed(Domain& domain);
  /// A write of `domain` that another's open transaction may have to be repeated for.
  void charge(Domain& domain, std::uint64_t now_ms);
  /// Whether `domain` is in debt.
  [[nodiscard]] static bool blocks(const Domain& domain) { return domain.write_credit < 0; }
  /// Refills; true if that ends the domain's debt.
  bool refill(Domain& domain, std::uint64_t now_ms);
  /// When the debt will be paid, if there is one.
  [[nodiscard]] std::optional<std::uint64_t> free_at_ms(const Domain& domain) const;
  /// What is saved up for all domains, for dumping and loading a state.
  [[nodiscard]] std::int64_t reserve() const { return reserve_; }
  void restore_reserve(std::int64_t reserve) { reserve_ = std::min(reserve, kReserve); }

 private:
  // In thousandths of a write.
  static constexpr std::int64_t kWrite = 1000;
  static constexpr std::int64_t kRatePerMs = 200;  // 200 writes a second for all domains together
  static constexpr std::int64_t kBurst = 10 * kWrite;
  static constexpr std::int64_t kReserve = 1000 * kWrite;

  std::int64_t reserve_{};
  std::int64_t domains_{};
};

}  // namespace ppvmm::store

/// What the store knows of each domain: its connection, what it uses, its write credit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "store/quota.hpp"
#include "store/types.hpp"

namespace ppvmm::store {

struct Connection;

/// A client's request whose answer waits for the shell's report on an attach_domain effect.
struct PendingIntroduction {
  ConnId client{};
  std::uint32_t request_id{};
  std::uint32_t transaction_id{};
};

/// What a domain takes of the store now. Nodes count for their owner, everything else for the
/// domain behind the connection.
struct Usage {
  std::uint32_t nodes{};
  std::uint32_t watches{};
  std::uint32_t transactions{};
  std::int64_t memory{};  ///< Bytes of nodes, watches, transactions and unsent output.
};

/// How often a limit was met, per entry of kQuotaNames.
using Refusals = std::array<std::uint64_t, kQuotaNames.size()>;

struct Domain {
  explicit Domain(DomId id) : domid(id) {}

  DomId domid{};
  Connection* connection{};  ///< Null until attached.
  std::uint64_t gfn{};
  std::uint32_t port{};
  bool announced{};                  ///< Was attached: its end will be told by @releaseDomain.
  bool attach_requested{};           ///< The shell holds, or was asked to map, the domain's ring.
  bool reintroduction{};             ///< The pending INTRODUCE found it introduced already.
  bool shut_down{};                  ///< @releaseDomain has told of the shutdown.
  std::optional<DomId> target_kept;  ///< SET_TARGET's, while an INTRODUCE renews the connection.
  std::vector<PendingIntroduction> introductions;  ///< Oldest first.
  std::uint32_t void_reports{};  ///< introduced() reports to ignore: the domain went meanwhile.
  Usage usage;
  Refusals refusals{};
  bool memory_warned{};         ///< The soft memory limit was logged.
  std::int64_t write_credit{};  ///< Thousandths of a write; see Throttle.
  std::uint64_t credit_updated_ms{};
  bool throttle_logged{};

  /// Nothing here outlives the domain: the record can go.
  [[nodiscard]] bool forgettable() const {
    return connection == nullptr && !announced && !attach_requested && introductions.empty() &&
           void_reports == 0 && usage.nodes == 0;
  }
};

/// All domains with a record, by domid.
class DomainTable {
 public:
  [[nodiscard]] Domain* find(DomId domid) const;
  [[nodiscard]] Domain& find_or_make(DomId domid);
  void erase(DomId domid);
  [[nodiscard]] const std::vector<std::unique_ptr<Domain>>& all() const { return domains_; }

 private:
  std::vector<std::unique_ptr<Domain>> domains_;  // ascending
};

}  // namespace ppvmm::store

/// Per-domain limits. Domain 0 and socket clients are exempt, as in C xenstored.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ppvmm::store {

/// Defaults are those of Xen 4.20's C xenstored.
struct Quotas {
  std::uint32_t nodes{1000};       ///< Nodes a domain may own.
  std::uint32_t watches{128};      ///< Watches a domain may register.
  std::uint32_t transactions{10};  ///< Transactions a domain may have open.
  std::uint32_t node_size{2048};   ///< Bytes of one node: value, permissions and children's names.
  std::uint32_t outstanding{20};   ///< Requests whose answer or events are unread.
  std::uint32_t permissions{5};    ///< Permission entries of one node.
  std::uint32_t transaction_nodes{1024};  ///< Nodes one transaction may touch.
  std::uint32_t path_max{2048};           ///< Bytes of a path, without "/local/domain/<id>/".
  std::uint32_t memory_soft{2'000'000};   ///< Bytes a domain may use before a warning is logged.
  std::uint32_t memory_hard{2'500'000};   ///< Bytes a domain may use; beyond: ENOMEM.
  std::uint32_t event_expiry_ms{20'000};  ///< An unread event older than this is dropped.
};

/// A limit's name in CONTROL quota, GET_QUOTA, the log and on command lines.
struct QuotaName {
  std::string_view name;
  std::uint32_t Quotas::*field;
};

/// Every limit once. Names that C xenstored has too are spelled as there.
inline constexpr std::array kQuotaNames{
    QuotaName{"nodes", &Quotas::nodes},
    QuotaName{"watches", &Quotas::watches},
    QuotaName{"transactions", &Quotas::transactions},
    QuotaName{"node-size", &Quotas::node_size},
    QuotaName{"outstanding", &Quotas::outstanding},
    QuotaName{"node-permissions", &Quotas::permissions},
    QuotaName{"transaction-nodes", &Quotas::transaction_nodes},
    QuotaName{"path-max", &Quotas::path_max},
    QuotaName{"memory-soft", &Quotas::memory_soft},
    QuotaName{"memory", &Quotas::memory_hard},
    QuotaName{"event-expiry-ms", &Quotas::event_expiry_ms},
};

}  // namespace ppvmm::store

/// What the launcher tells a XenStore_uk on its command line (abi/xenstore_set.hpp).
///
///   role=primary|backup   default primary
///   dom0_port=N           primary: the port that dom0's kernel keeps for us; required
///   dom0_grant=N          primary: the grant of dom0's ring page; default 1
///   backups=A,B           primary: domids of the backups; none: a store without replicas
///   primary=N             backup: domid that the region is granted to; required
///   log_kib=N area_kib=N slots=N
///                         sizes of a region, equal in all three; default 1024, 4096, 1024
///   scrub_ms=N            idle checks every N ms; default 10
///   scrub_nodes=N         nodes verified in each of them; default 104
///   scrub_kib=N           backup: of checkpoint and log, each, read in each of them; default 64
///   rebuilt               primary: a domain of this id served before; it must not start empty
///   loglevel=N            0 debug, 1 info (default), 2 warnings, 3 errors
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "abi/xen.hpp"
#include "replication/layout.hpp"
#include "replication/vote.hpp"

namespace ppvmm::xenstore {

enum class Role : std::uint8_t { primary, backup };

struct Settings {
  Role role{Role::primary};
  abi::Port dom0_port{};
  abi::GrantRef dom0_grant{GNTTAB_RESERVED_XENSTORE};
  std::array<std::optional<abi::DomId>, replication::kBackups> backups{};
  abi::DomId primary{};
  replication::Geometry geometry;
  std::uint64_t scrub_ms{10};
  std::uint64_t scrub_nodes{104};
  std::uint64_t scrub_kib{64};

  /// The error is the word that is missing or makes no sense.
  [[nodiscard]] static std::expected<Settings, std::string_view> parse(std::string_view line);
};

}  // namespace ppvmm::xenstore

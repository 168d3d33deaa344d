/// Where a primary's life begins: an empty store on the host's first start, else the state that its
/// backups' memories hold (replication/recovery.hpp).
#pragma once

#include <array>

#include "replication/recovery.hpp"
#include "store/quota.hpp"
#include "uk/xenstore/remote_region.hpp"
#include "uk/xenstore/settings.hpp"

namespace ppvmm::xenstore {

using RemoteRegions = std::array<RemoteRegion, replication::kBackups>;

struct Beginning {
  replication::Restored state;
  replication::ReplicaSet set;
  bool empty{};  ///< The host's first start: nobody is connected yet.
  bool stale{};  ///< The state is older than what guests have seen.
  /// Regions that are there, but hold nothing to rely on: they want to be filled.
  std::array<bool, replication::kBackups> to_fill{};
};

/// Opens the backups' regions and finds the state. Tells root what was found. If there was a state
/// and none of it can be used, tells root and ends this life: an empty store would be a lie to
/// everybody who is connected. `later_life`: some earlier one served already.
[[nodiscard]] Beginning begin_life(const Settings& settings, const store::Options& options,
                                   bool later_life, RemoteRegions& regions);

}  // namespace ppvmm::xenstore

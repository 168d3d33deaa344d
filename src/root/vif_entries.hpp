/// Guests' vifs as XenStore has them, from the side of a back-end domain that root builds. libxl
/// keeps a copy of everything that it wrote for a vif under /libxl/<guest>/device/vif/<handle>
/// (libxl__device_generic_add): from that, and from the front-end's state, the back-end's directory
/// can be written again as it was.
#pragma once

#include <cstdint>

#include "root/failure.hpp"
#include "root/xs_client.hpp"

namespace ppvmm::root {

/// Writes the directory of each vif whose back-end is `backend`, unless it is there. One whose
/// front-end is connected gets state 4: the new domain takes its rings as they are. How many were
/// written.
[[nodiscard]] Result<std::uint64_t> restore_vifs(XsClient& store, DomId backend);

/// What its front-ends' directories lack of a dead domain's nodes, and no front-end of Linux needs.
[[nodiscard]] Result<void> furnish_vifs(XsClient& store, DomId backend);

/// Moves all vifs of one back-end to another. A guest grants its pages to one domain id, so it must
/// make new rings: its old interface vanishes, and a new one with the same address appears (as with
/// xl network-detach and network-attach). How many were moved.
[[nodiscard]] Result<std::uint64_t> move_vifs(XsClient& store, DomId from, DomId to);

}  // namespace ppvmm::root

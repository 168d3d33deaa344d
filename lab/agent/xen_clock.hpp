/// Relates dom0's clock to Xen's, so that what both log can be put on one time line.
#pragma once

#include <cstdint>
#include <optional>

namespace ppvmm::lab {

/// Dom0's clock (now_ns()) just before and just after Xen was asked to print its key-handler mark.
struct XenMark {
  std::int64_t before_ns;
  std::int64_t after_ns;
};

/// Asks Xen for debug key 's' (time-stamp counter statistics: it only reads). Xen's first line of
/// it carries Xen's time, so the driver outside learns the distance between both clocks. Nothing
/// when this is no privileged domain.
[[nodiscard]] std::optional<XenMark> mark_xen_log();

}  // namespace ppvmm::lab

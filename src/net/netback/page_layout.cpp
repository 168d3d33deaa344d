#include "net/netback/page_layout.hpp"

#include <algorithm>

#include "net/netback/netif.hpp"

namespace ppvmm::net {

RxLayout rx_layout_of(std::span<const Fragment> fragments, std::uint32_t length, bool segmented) {
  const auto filled = static_cast<std::uint32_t>((length + kBufferBytes - 1) / kBufferBytes);
  PageLayout layout;
  for (const Fragment& each : fragments)
    static_cast<void>(layout.add(each.length));
  const std::uint32_t most = std::min<std::uint32_t>(filled + 1, XEN_NETIF_NR_SLOTS_MIN);
  const bool whole = layout.pages() <= most;
  return {.slots = (whole ? layout.pages() : filled) + (segmented ? 1 : 0), .whole = whole};
}

}  // namespace ppvmm::net

/// How the pieces of a packet are laid into pages: of ours when they come from a guest, of a
/// guest's when they go to it. Pure.
///
/// A copy by Xen costs more for being one than for its bytes (looking up and pinning two pages), so
/// a piece is not cut in two to fill a page: what does not fit begins the next one.
#pragma once

#include <cstdint>
#include <span>

#include "net/frame.hpp"

namespace ppvmm::net {

class PageLayout {
 public:
  struct Place {
    std::uint16_t page{};  ///< Counted from 0.
    std::uint16_t offset{};
  };

  /// Where the next piece goes; 1 to kBufferBytes bytes.
  [[nodiscard]] Place add(std::uint16_t length) {
    if (pages_ == 0 || used_ + length > kBufferBytes) {
      ++pages_;
      used_ = 0;
    }
    const Place place{.page = static_cast<std::uint16_t>(pages_ - 1), .offset = used_};
    used_ = static_cast<std::uint16_t>(used_ + length);
    return place;
  }
  [[nodiscard]] std::uint16_t pages() const { return pages_; }

 private:
  std::uint16_t pages_{};
  std::uint16_t used_{};
};

/// How a frame is laid into the buffers of a guest.
struct RxLayout {
  std::uint32_t slots{};  ///< With the one for its segmentation info.
  bool whole{};           ///< By PageLayout. Else every buffer is filled, and pieces are cut.
};

/// Whole pieces if they take at most one buffer more and no more than every front-end must take
/// (XEN_NETIF_NR_SLOTS_MIN): what a guest spends, it spends by the buffer.
[[nodiscard]] RxLayout rx_layout_of(std::span<const Fragment> fragments, std::uint32_t length,
                                    bool segmented);

}  // namespace ppvmm::net

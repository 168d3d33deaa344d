/// Small objects: pages cut into equal pieces. Pure; works on whatever memory the caller maps.
///
/// Objects carry no header: the page's FrameInfo knows their size, so an object costs its class
/// size and nothing more. Allocation and release are O(1). An empty page goes back to the frame
/// allocator, except the last one of its class, which is kept against ping-pong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel/frames.hpp"

namespace ppvmm::kernel {

/// Object sizes, multiples of 16 so that every object is aligned for any fundamental type. The
/// large ones are the largest multiple of 16 of which n fit into a page.
inline constexpr std::array<std::uint16_t, 28> kSlabSizes{
    16,  32,  48,  64,  80,  96,  112, 128, 144, 160, 176, 192,  208,  224,
    240, 256, 288, 336, 368, 400, 448, 512, 576, 672, 816, 1024, 1360, 2048};
inline constexpr std::size_t kLargestSlabObject = kSlabSizes.back();
inline constexpr std::size_t kFrameBytes = 4096;

/// Index of the smallest class that holds `bytes`, which must be at most kLargestSlabObject.
[[nodiscard]] std::size_t slab_class(std::size_t bytes);
/// Objects of a class in one page.
constexpr std::uint16_t slab_objects(std::size_t size_class) {
  return static_cast<std::uint16_t>(kFrameBytes / kSlabSizes[size_class]);
}

class Slabs {
 public:
  /// Frame n of `frames` lies at `base + n * 4096`.
  Slabs(Frames& frames, std::byte* base);

  /// Uninitialised memory for one object of the class, or null when no frame is left.
  [[nodiscard]] void* take(std::size_t size_class);
  /// Gives an object back. False, and nothing done, if `object` is not the start of one in use of a
  /// slab page (an object that is free already is noticed only when its page is empty).
  [[nodiscard]] bool release(void* object);

  [[nodiscard]] std::uint64_t objects(std::size_t size_class) const { return objects_[size_class]; }
  [[nodiscard]] std::uint64_t pages() const { return pages_; }

 private:
  [[nodiscard]] std::byte* page(Frame frame) const {
    return base_ + std::size_t{frame} * kFrameBytes;
  }
  void link(Frame frame, std::size_t size_class);
  void unlink(Frame frame, std::size_t size_class);

  Frames* frames_;
  std::byte* base_;
  std::array<Frame, kSlabSizes.size()> partial_;  ///< Pages with room, per class.
  std::array<std::uint64_t, kSlabSizes.size()> objects_{};
  std::uint64_t pages_{};
};

}  // namespace ppvmm::kernel

/// Allocator of runs of page frames: a buddy allocator whose runs need not be powers of two. Pure.
///
/// A run of n frames is taken from the smallest free block of 2^k >= n frames, and the rest goes
/// back at once as smaller blocks, so no frame is lost to rounding. Taking and giving back cost
/// O(number of orders), independent of how much memory there is.
///
/// The caller provides one FrameInfo per frame. Frames are numbered from 0; the allocator never
/// touches the frames themselves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ppvmm::kernel {

using Frame = std::uint32_t;
inline constexpr Frame kNoFrame = 0xFFFFFFFF;

/// What a frame is used for.
enum class FrameUse : std::uint8_t {
  body,       ///< Inside a block or run, or reserved: nothing begins here.
  free_head,  ///< First frame of a free block; `order` is its size.
  run_head,   ///< First frame of a run in use; `next` is its length.
  slab,       ///< One page of equal objects; see slabs.hpp for the other fields.
};

/// Sixteen bytes per frame: 0.4 % of the memory.
struct FrameInfo {
  Frame next{kNoFrame};  ///< List link; run length in a run_head.
  Frame previous{kNoFrame};
  std::uint16_t free_object{};  ///< Slab: first free object, kNoObject if none.
  std::uint16_t used{};         ///< Slab: objects in use.
  std::uint16_t untouched{};    ///< Slab: objects from here on were never handed out.
  FrameUse use{FrameUse::body};
  std::uint8_t order{};  ///< Free block: log2 of its length. Slab: size class.
};
static_assert(sizeof(FrameInfo) == 16);

class Frames {
 public:
  static constexpr unsigned kOrders = 24;  ///< Blocks of up to 2^23 frames, 32 GiB.

  /// All frames start reserved; give() makes them available. `info` must outlive the allocator.
  explicit Frames(std::span<FrameInfo> info);

  /// Makes [first, first + count) available. They must be reserved or a run that was taken.
  void give(Frame first, Frame count);
  /// A run of `count` >= 1 frames, or nothing when no free block is large enough.
  [[nodiscard]] std::optional<Frame> take(Frame count);
  /// Gives back the run that begins at `first`. False, and nothing done, if no run begins there.
  [[nodiscard]] bool release(Frame first);
  /// Makes a reserved range a run in use: memory kept over a microreboot.
  void adopt(Frame first, Frame count);
  /// Length of the run that begins at `first`, 0 if none does.
  [[nodiscard]] Frame run_length(Frame first) const;

  [[nodiscard]] Frame free_frames() const { return free_; }
  [[nodiscard]] std::span<FrameInfo> info() { return info_; }
  [[nodiscard]] std::span<const FrameInfo> info() const { return info_; }

 private:
  void insert(Frame head, unsigned order);
  void remove(Frame head);
  void merge_in(Frame head, unsigned order);

  std::span<FrameInfo> info_;
  std::array<Frame, kOrders> lists_;
  std::uint32_t filled_{};  ///< Bit k: list k is not empty.
  Frame free_{};
};

}  // namespace ppvmm::kernel

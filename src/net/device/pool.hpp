/// A buffer pool in memory that devices reach and that the next life finds again.
#pragma once

#include <expected>
#include <memory>
#include <vector>

#include "net/frame.hpp"

namespace ppvmm::net::device {

/// After a microreboot a device may still write into the pool's pages: no buffer may be taken
/// before its driver was started, which resets it.
class DevicePool {
 public:
  /// `buffers` pages under `tag`, their notes under `tag + 0x100`, and records for `frames` frames.
  /// Null without memory.
  [[nodiscard]] static std::unique_ptr<DevicePool> create(std::size_t buffers, std::size_t frames,
                                                          std::uint32_t tag);
  [[nodiscard]] BufferPool& pool() { return pool_; }

 private:
  DevicePool(std::byte* memory, std::vector<DmaAddress> pages, std::size_t frames,
             std::span<ReceiveNote> notes)
      : pages_(std::move(pages)), pool_(memory, pages_, frames, notes) {}

  std::vector<DmaAddress> pages_;
  BufferPool pool_;
};

}  // namespace ppvmm::net::device

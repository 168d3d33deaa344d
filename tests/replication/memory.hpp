/// Aligned memory for regions and ring pages in tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "replication/layout.hpp"
#include "replication/shared_memory.hpp"

namespace ppvmm::test {

/// The smallest region that the layout allows: logs wrap soon, checkpoints are small.
inline constexpr replication::Geometry kSmall{
    .log_bytes = 64 << 10, .checkpoint_bytes = 64 << 10, .slots = 32};

class Memory {
 public:
  explicit Memory(std::size_t bytes) : words_((bytes + 7) / 8) {}
  [[nodiscard]] std::span<std::byte> bytes() { return std::as_writable_bytes(std::span{words_}); }
  [[nodiscard]] replication::SharedMemory shared(replication::StoreObserver* observer = nullptr) {
    return replication::SharedMemory{bytes(), observer};
  }
  void flip(std::size_t offset, unsigned bit) {
    bytes()[offset] ^= static_cast<std::byte>(1u << bit);
  }

 private:
  std::vector<std::uint64_t> words_;
};

inline Memory region_memory(const replication::Geometry& geometry = kSmall) {
  return Memory{replication::region_bytes(geometry)};
}

}  // namespace ppvmm::test

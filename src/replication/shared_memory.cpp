#include "replication/shared_memory.hpp"

namespace ppvmm::replication {

void SharedMemory::write_observed(std::size_t offset, std::span<const std::byte> bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t count = std::min<std::size_t>(8, bytes.size() - done);
    observer_->before_store(bytes_.data() + offset + done, count);
    std::memcpy(bytes_.data() + offset + done, bytes.data() + done, count);
    done += count;
  }
}

}  // namespace ppvmm::replication

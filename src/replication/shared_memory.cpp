#include "replication/shared_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace ppvmm::replication {
namespace {

template <class Word>
Word& word_at(std::span<std::byte> bytes, std::size_t offset) {
  return *reinterpret_cast<Word*>(bytes.data() + offset);
}

}  // namespace

std::uint32_t SharedMemory::load32(std::size_t offset) const {
  if (!provided(offset, sizeof(std::uint32_t))) return 0;
  return std::atomic_ref{word_at<std::uint32_t>(bytes_, offset)}.load(std::memory_order_acquire);
}

std::uint64_t SharedMemory::load64(std::size_t offset) const {
  if (!provided(offset, sizeof(std::uint64_t))) return 0;
  return std::atomic_ref{word_at<std::uint64_t>(bytes_, offset)}.load(std::memory_order_acquire);
}

void SharedMemory::store32(std::size_t offset, std::uint32_t value) {
  if (!provided(offset, sizeof value)) return;
  if (observer_ != nullptr) observer_->before_store(bytes_.data() + offset, sizeof value);
  std::atomic_ref{word_at<std::uint32_t>(bytes_, offset)}.store(value, std::memory_order_release);
}

void SharedMemory::store64(std::size_t offset, std::uint64_t value) {
  if (!provided(offset, sizeof value)) return;
  if (observer_ != nullptr) observer_->before_store(bytes_.data() + offset, sizeof value);
  std::atomic_ref{word_at<std::uint64_t>(bytes_, offset)}.store(value, std::memory_order_release);
}

void SharedMemory::read(std::size_t offset, std::span<std::byte> out) const {
  if (out.empty()) return;
  if (!provided(offset, out.size())) {
    std::ranges::fill(out, std::byte{});
    return;
  }
  std::memcpy(out.data(), bytes_.data() + offset, out.size());
  // From here on only the copy counts: the compiler must not look at the shared bytes again.
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void SharedMemory::write(std::size_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty() || !provided(offset, bytes.size())) return;
  if (observer_ == nullptr) {
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
    return;
  }
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t count = std::min<std::size_t>(8, bytes.size() - done);
    observer_->before_store(bytes_.data() + offset + done, count);
    std::memcpy(bytes_.data() + offset + done, bytes.data() + done, count);
    done += count;
  }
}

}  // namespace ppvmm::replication

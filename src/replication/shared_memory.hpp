/// A view of memory that another domain may read, write or corrupt while we use it.
///
/// Rules: a value is loaded once and then checked; bytes are copied out before anybody looks at
/// them; a word that publishes something is stored with release order after what it publishes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ppvmm::replication {

/// Told before every store. Production passes none; the simulator numbers the stores and takes
/// them back from the one at which it lets the writer die.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  /// `size` (at most 8) bytes at `at` are about to change.
  virtual void before_store(std::byte* at, std::size_t size) = 0;
};

/// Makes memory reachable that is mapped only when somebody needs it.
class MemoryProvider {
 public:
  virtual ~MemoryProvider() = default;
  /// The `size` bytes from `offset` on are about to be used. False: they are not to be had.
  virtual bool provide(std::size_t offset, std::size_t size) = 0;
};

/// Offsets are in bytes and must lie inside; callers check them against size(), because they come
/// from a layout and never from the memory itself. Copies are shallow. The memory, the observer and
/// the provider must outlive the view.
///
/// What a provider cannot provide reads as zeroes, which no check in a region takes for anything,
/// and stores to it are dropped: the region shows as damaged.
class SharedMemory {
 public:
  SharedMemory() = default;
  explicit SharedMemory(std::span<std::byte> bytes, StoreObserver* observer = nullptr)
      : bytes_{bytes}, observer_{observer} {}
  SharedMemory(std::span<std::byte> bytes, MemoryProvider& provider)
      : bytes_{bytes}, provider_{&provider} {}

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  /// One naturally aligned word, acquire order.
  [[nodiscard]] std::uint32_t load32(std::size_t offset) const {
    return load<std::uint32_t>(offset);
  }
  [[nodiscard]] std::uint64_t load64(std::size_t offset) const {
    return load<std::uint64_t>(offset);
  }
  /// One naturally aligned word, release order.
  void store32(std::size_t offset, std::uint32_t value) { store(offset, value); }
  void store64(std::size_t offset, std::uint64_t value) { store(offset, value); }

  /// Copies out; the copy is private and stays what it is.
  void read(std::size_t offset, std::span<std::byte> out) const {
    if (out.empty()) return;
    if (!provided(offset, out.size())) {
      std::ranges::fill(out, std::byte{});
      return;
    }
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    // From here on only the copy counts: the compiler must not look at the shared bytes again.
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  /// Copies in, in no promised order: what it completes is published by a store64 after it.
  void write(std::size_t offset, std::span<const std::byte> bytes) {
    if (bytes.empty() || !provided(offset, bytes.size())) return;
    if (observer_ != nullptr) return write_observed(offset, bytes);
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
  }
  /// The same, word by word; `offset` is a multiple of eight.
  void write(std::size_t offset, std::span<const std::uint64_t> words) {
    if (!provided(offset, words.size_bytes())) return;
    if (observer_ != nullptr) return write_observed(offset, std::as_bytes(words));
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::atomic_ref{word_at<std::uint64_t>(offset + i * sizeof(std::uint64_t))}.store(
          words[i], std::memory_order_relaxed);
    }
  }

 private:
  [[nodiscard]] bool provided(std::size_t offset, std::size_t size) const {
    return provider_ == nullptr || provider_->provide(offset, size);
  }
  template <class Word>
  [[nodiscard]] Word& word_at(std::size_t offset) const {
    return *reinterpret_cast<Word*>(bytes_.data() + offset);
  }
  template <class Word>
  [[nodiscard]] Word load(std::size_t offset) const {
    if (!provided(offset, sizeof(Word))) return 0;
    return std::atomic_ref{word_at<Word>(offset)}.load(std::memory_order_acquire);
  }
  template <class Word>
  void store(std::size_t offset, Word value) {
    if (!provided(offset, sizeof value)) return;
    if (observer_ != nullptr) observer_->before_store(bytes_.data() + offset, sizeof value);
    std::atomic_ref{word_at<Word>(offset)}.store(value, std::memory_order_release);
  }
  /// write(), word by word.
  void write_observed(std::size_t offset, std::span<const std::byte> bytes);

  std::span<std::byte> bytes_;
  StoreObserver* observer_{};
  MemoryProvider* provider_{};
};

}  // namespace ppvmm::replication

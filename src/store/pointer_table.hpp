/// A hash table of pointers to things that live elsewhere. The caller brings hash and comparison,
/// so one table serves paths, permission lists and transaction records alike, and needs nothing
/// from the C++ library's shared object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ppvmm::store {

/// Open addressing with linear probing and backward-shift removal: no tombstones, so it does not
/// decay under churn. Iteration is not offered, because its order would depend on the history.
template <class T>
class PointerTable {
 public:
  /// The first entry with this hash for which `same(const T&)` holds, or null.
  template <class Same>
  [[nodiscard]] T* find(std::uint64_t hash, Same same) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Slot& slot = slots_[at];
      if (slot.item == nullptr) return nullptr;
      if (slot.hash == hash && same(*slot.item)) return slot.item;
    }
  }

  /// Adds `item`; the caller made sure that it is not there yet.
  void insert(std::uint64_t hash, T* item) {
    if ((count_ + 1) * 4 > slots_.size() * 3) grow();
    place(Slot{hash, item});
    ++count_;
  }

  /// Removes `item`, which was inserted with `hash`. False if it is not there.
  bool erase(std::uint64_t hash, const T* item) {
    if (slots_.empty()) return false;
    std::size_t hole = hash & mask();
    while (slots_[hole].item != item) {
      if (slots_[hole].item == nullptr) return false;
      hole = (hole + 1) & mask();
    }
    // Pull later members of the cluster into the hole when that brings them closer to home.
    for (std::size_t at = (hole + 1) & mask(); slots_[at].item != nullptr; at = (at + 1) & mask()) {
      const std::size_t home = slots_[at].hash & mask();
      if (((at - home) & mask()) >= ((at - hole) & mask())) {
        slots_[hole] = slots_[at];
        hole = at;
      }
    }
    slots_[hole] = Slot{};
    --count_;
    return true;
  }

  [[nodiscard]] std::size_t size() const { return count_; }
  /// Bytes the table itself occupies.
  [[nodiscard]] std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t hash{};
    T* item{};
  };

  [[nodiscard]] std::size_t mask() const { return slots_.size() - 1; }

  void place(Slot slot) {
    std::size_t at = slot.hash & mask();
    while (slots_[at].item != nullptr)
      at = (at + 1) & mask();
    slots_[at] = slot;
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? kFirstSize : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.item != nullptr) place(slot);
    }
  }

  static constexpr std::size_t kFirstSize = 8;
  std::vector<Slot> slots_;  // size is a power of two
  std::size_t count_{};
};

}  // namespace ppvmm::store

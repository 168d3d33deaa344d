/// The survivors table: what outlives a microreboot. Pure; works on a VitalsRegion anywhere.
///
/// Each entry carries its own checksum, and the header the XOR of them all, so a wild write is
/// found and so is an entry that vanished. An entry being rewritten is announced in the header
/// first: if the component dies in the middle, the next incarnation takes that one entry as torn,
/// not as corrupt, and drops it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/vitals.hpp"

namespace ppvmm::kernel {

class Survivors {
 public:
  /// What verify() found.
  struct Report {
    std::uint32_t intact{};
    std::uint32_t torn{};     ///< At most one: dropped.
    std::uint32_t corrupt{};  ///< Checksum wrong without an announced write.
    bool header_good{};       ///< Count and sum agree with the entries.
    [[nodiscard]] bool good() const { return corrupt == 0 && header_good; }
  };

  constexpr explicit Survivors(abi::VitalsRegion& region) : region_(&region) {}

  /// Adds an entry. False if the table is full or (kind, tag) is taken.
  [[nodiscard]] bool add(const abi::Survivor& entry);
  /// Replaces the entry of the same (kind, tag). False if there is none.
  [[nodiscard]] bool replace(const abi::Survivor& entry);
  /// False if there is no such entry.
  bool remove(abi::SurvivorKind kind, std::uint32_t tag);
  [[nodiscard]] std::optional<abi::Survivor> find(abi::SurvivorKind kind, std::uint32_t tag) const;
  [[nodiscard]] std::size_t size() const { return region_->page.survivors_used; }

  /// Calls `visit(entry)` for each entry in use.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const abi::Survivor& entry : region_->survivors) {
      if (entry.kind != abi::SurvivorKind::none) visit(entry);
    }
  }

  /// Checks the whole table after a re-entry, drops a torn entry and repairs the header for it.
  [[nodiscard]] Report verify();
  /// Empties the table.
  void clear();

 private:
  void write(std::size_t index, const abi::Survivor& entry);
  [[nodiscard]] std::optional<std::size_t> index_of(abi::SurvivorKind kind,
                                                    std::uint32_t tag) const;

  abi::VitalsRegion* region_;
};

}  // namespace ppvmm::kernel

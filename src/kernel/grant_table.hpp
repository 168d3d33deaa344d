/// Our own grant table: what other domains may map of our pages. For the runtime itself; everybody
/// else uses grants.hpp.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "kernel/grants.hpp"

namespace ppvmm::kernel::grants::table {

/// Grants the frame under any free reference.
[[nodiscard]] std::expected<GrantRef, Error> give(DomId domid, std::uint64_t pfn, Access access);
/// Grants the frame, writable, under this very reference.
[[nodiscard]] std::expected<void, Error> give_as(GrantRef ref, DomId domid, std::uint64_t pfn);
/// Makes sure that all references below `end` exist. False: Xen's limit for this domain is lower.
[[nodiscard]] bool reach(GrantRef end);
/// False while the other domain has it mapped.
[[nodiscard]] bool take_back(GrantRef ref);

struct Entry {
  DomId domid;
  std::uint16_t flags;
  std::uint32_t frame;
};
/// What stands in the table under a reference that is in use.
[[nodiscard]] std::optional<Entry> entry(GrantRef ref);

[[nodiscard]] std::uint32_t given();
[[nodiscard]] std::uint32_t stuck();

void set_up(bool reborn);

}  // namespace ppvmm::kernel::grants::table

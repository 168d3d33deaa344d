#include "root/inject_ground.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "abi/vitals.hpp"
#include "replication/layout.hpp"
#include "root/inject_node.hpp"

namespace ppvmm::root::inject {
namespace {

using replication::Geometry;
using replication::Identity;

/// The main stack's size (src/kernel/unikernel.ld).
constexpr std::uint64_t kStackBytes = 128U << 10U;
/// Pages looked at at random before all of a heap is searched, which takes a hundred times as long.
constexpr int kTries = 32;

/// `page`: a whole one.
bool holds_something(std::span<const std::byte> page) {
  static constexpr std::array<std::byte, kPageSize> kZeroes{};
  return std::memcmp(page.data(), kZeroes.data(), kPageSize) != 0;
}

/// The geometry of the region that begins with these bytes, if one does.
std::optional<Geometry> geometry_at(std::span<const std::byte> bytes) {
  Identity identity;
  if (bytes.size() < sizeof identity) return std::nullopt;
  std::memcpy(&identity, bytes.data(), sizeof identity);
  if (identity.magic != replication::kRegionMagic) return std::nullopt;
  const Geometry found{.log_bytes = identity.log_bytes,
                       .checkpoint_bytes = identity.checkpoint_bytes,
                       .slots = identity.slots};
  return replication::valid(found) ? std::optional(found) : std::nullopt;
}

/// The replica's region that lies in `pages`: where, and how large its parts are.
std::optional<std::pair<std::uint64_t, Geometry>> find_region(GuestMemory& memory,
                                                              std::span<const Stretch> pages) {
  std::optional<std::pair<std::uint64_t, Geometry>> region;
  memory.visit(pages, [&](std::uint64_t va, std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size() && !region; at += kPageSize) {
      if (const auto geometry = geometry_at(bytes.subspan(at))) region = {va + at, *geometry};
    }
  });
  return region;
}

/// Only what was written: a flip in a page of zeroes meets nothing.
std::vector<Stretch> written(GuestMemory& memory, const Stretch& range) {
  std::vector<Stretch> found;
  memory.visit(std::array{range}, [&](std::uint64_t va, std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at + kPageSize <= bytes.size(); at += kPageSize) {
      if (holds_something(bytes.subspan(at, kPageSize))) found.push_back({va + at, kPageSize});
    }
  });
  return found;
}

}  // namespace

std::vector<Stretch> image_ground(const abi::ImageNote& note, Where where) {
  std::vector<Stretch> found;
  for (const abi::ImageRange& range : note.ranges) {
    if (range.action == abi::RangeAction::none || range.bytes == 0) continue;
    const bool hit = (where == Where::code && range.access == abi::RangeAccess::read_execute) ||
                     (where == Where::constants && range.access == abi::RangeAccess::read_only) ||
                     (where == Where::data && range.access == abi::RangeAccess::read_write &&
                      range.action == abi::RangeAction::restore) ||
                     (where == Where::bss && range.action == abi::RangeAction::zero);
    if (hit) found.push_back({range.va, range.bytes});
  }
  return found;
}

Result<std::vector<Stretch>> frames_ground(GuestMemory& memory, const abi::ImageNote& note) {
  abi::Vitals vitals;
  const auto bytes = std::as_writable_bytes(std::span(&vitals, 1));
  if (const auto read = memory.read(note.vitals_va, bytes); !read) {
    return std::unexpected(read.error());
  }
  const abi::Origin& origin = vitals.origin;
  if (origin.sum != abi::origin_sum(origin)) return refused("its vitals do not say where they are");
  return std::vector<Stretch>{{origin.p2m_va, origin.nr_pages * sizeof(std::uint64_t)}};
}

std::vector<Stretch> stack_ground(const abi::ImageNote& note, std::uint64_t rsp) {
  const std::uint64_t top = note.reentry_stack;
  if (rsp < top && top - rsp <= kStackBytes) return {{rsp, top - rsp}};
  return {{top - kPageSize, kPageSize}};
}

Result<std::vector<Stretch>> used_page(GuestMemory& memory, std::span<const Stretch> pages,
                                       Dice& dice) {
  const std::uint64_t count = total_bytes(pages) / kPageSize;
  std::array<std::byte, kPageSize> bytes{};
  for (int i = 0; i < kTries && count != 0; ++i) {
    const std::uint64_t va = address_at(pages, dice.below(count) * kPageSize);
    if (!memory.read(va, bytes)) continue;  // a page of another domain, mapped there
    if (holds_something(bytes)) return std::vector<Stretch>{{va, kPageSize}};
  }
  std::vector<Stretch> used;
  for (const Stretch& stretch : pages) {
    const auto more = written(memory, stretch);
    used.insert(used.end(), more.begin(), more.end());
  }
  if (used.empty()) return refused("the heap holds nothing");
  return std::vector<Stretch>{used.at(dice.below(used.size()))};
}

Result<std::vector<Stretch>> region_ground(GuestMemory& memory, std::span<const Stretch> pages,
                                           Where where) {
  std::vector<Stretch> found;
  const auto region = find_region(memory, pages);
  if (!region) return refused("no replica's region was found in its memory");
  const auto& [base, geometry] = *region;
  if (where == Where::log) {
    return written(memory, {base + replication::log_offset(geometry), geometry.log_bytes});
  }
  for (const std::uint64_t area : {0U, 1U}) {
    const Stretch range{base + replication::checkpoint_offset(geometry, area),
                        geometry.checkpoint_bytes};
    const auto more = written(memory, range);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

Result<std::vector<Stretch>> tree_ground(GuestMemory& memory, std::span<const Stretch> pages) {
  std::vector<Stretch> found;
  memory.visit(pages, [&](std::uint64_t va, std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += kNodeAlignment) {
      if (const auto text = text_of_node(bytes, at)) {
        found.push_back({va + text->offset, text->length});
      }
    }
  });
  if (found.empty()) return refused("no node of a XenStore tree was found in its memory");
  return found;
}

Result<std::vector<Stretch>> digest_ground(GuestMemory& memory, std::span<const Stretch> pages) {
  const auto region = find_region(memory, pages);
  if (!region) return refused("no replica's region was found in its memory");
  std::array<replication::Digest, replication::kDigests> published{};
  const auto bytes = std::as_writable_bytes(std::span{published});
  if (const auto read = memory.read(region->first + replication::kDigestsOffset, bytes); !read) {
    return std::unexpected(read.error());
  }
  const auto newest = std::ranges::max_element(published, {}, &replication::Digest::sequence);
  if (newest->sequence == 0) return refused("its region holds no digest yet");
  const std::uint64_t end = region->first + replication::region_bytes(region->second);
  std::vector<Stretch> found;
  memory.visit(pages, [&](std::uint64_t va, std::span<const std::byte> page) {
    for (std::size_t at = 0; at < page.size(); at += sizeof(std::uint64_t)) {
      if (va + at >= region->first && va + at < end) continue;
      if (std::memcmp(page.data() + at, &newest->digest, sizeof newest->digest) == 0) {
        found.push_back({va + at, sizeof newest->digest});
      }
    }
  });
  if (found.empty()) return refused("what it published last is nowhere in its memory");
  return found;
}

Result<std::size_t> flip_copies(GuestMemory& memory, std::span<const Stretch> words,
                                std::uint64_t address, std::byte mask) {
  std::size_t copies = 0;
  for (const Stretch& word : words) {
    const std::uint64_t within = address % sizeof(std::uint64_t);
    if (word.va + within == address) continue;
    std::array<std::byte, 1> byte{};
    if (const auto read = memory.read(word.va + within, byte); !read) {
      return std::unexpected(read.error());
    }
    byte[0] ^= mask;
    if (const auto wrote = memory.write(word.va + within, byte); !wrote) {
      return std::unexpected(wrote.error());
    }
    ++copies;
  }
  return copies;
}

}  // namespace ppvmm::root::inject

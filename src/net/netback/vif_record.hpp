/// What is kept of a connected vif in memory that outlives a microreboot, so that the next
/// incarnation serves it before it has asked XenStore anything.
///
/// Rings, indexes and unanswered requests are in the guest's memory; mappings and ports are in the
/// runtime's survivors table. This is the rest: whose they are, and what was agreed. A record is
/// valid by its checksum alone; a torn one is as good as none, and its vif is adopted from
/// XenStore.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "abi/checksum.hpp"
#include "net/netback/vif.hpp"

namespace ppvmm::net {

struct VifRecord {
  std::uint16_t domid{};
  std::uint16_t handle{};
  std::uint8_t queues{};
  std::uint8_t split{};  ///< Bit n: queue n has two ports.
  std::uint8_t
      abilities{};  ///< Bits: scatter-gather, checksum v4, v6, GSO v4, v6, only own address.
  std::uint8_t used{};
  MacAddress mac{};
  std::uint16_t reserved{};
  std::uint32_t rate_interval_us{};
  std::uint32_t reserved2{};
  std::uint64_t rate_bytes{};  ///< 0: no limit.
  std::uint8_t addresses{};
  std::array<std::uint8_t, 7> reserved3{};
  std::array<std::uint32_t, 4> ipv4{};
  std::uint64_t sum{};
};
static_assert(sizeof(VifRecord) == 64);

/// As many as ports of the switch, in one page.
inline constexpr std::size_t kVifRecords = kPortsMax;
static_assert(kVifRecords * sizeof(VifRecord) <= kBufferBytes);

[[nodiscard]] inline std::uint64_t sum_of(const VifRecord& record) {
  std::array<std::uint64_t, sizeof(VifRecord) / 8> words;
  std::memcpy(words.data(), &record, sizeof record);
  std::uint64_t state = 0x7669665265636F72u;
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    state = abi::mix(state, words[i]);
  return state == 0 ? 1 : state;
}

/// Puts the settings into a record, sealed. Of the addresses the first four are kept.
[[nodiscard]] VifRecord record_of(const VifSettings& settings, std::size_t queues,
                                  std::uint8_t split);
/// Whether it says something that can be believed.
[[nodiscard]] bool believable(const VifRecord& record);
[[nodiscard]] VifSettings settings_of(const VifRecord& record);

}  // namespace ppvmm::net

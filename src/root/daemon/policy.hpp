/// How one unikernel is looked after: policies are data. Those of the compared systems run on the
/// same machinery as ours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "root/judge.hpp"

namespace ppvmm::root::daemon {

struct Policy {
  std::string name;
  /// Look for crashes, hangs and corruption. Off: only `refresh_ns` ever repairs.
  bool detect{true};
  /// Re-enter it this often whether it is well or not; 0: never.
  std::uint64_t refresh_ns{};
  Patience patience{};
  RepairLimits limits{};
  /// What the image is told at each re-entry (abi::Orders::words), for example to lose what it had
  /// not answered, as a system without our survivors would.
  std::string words;
  /// What it is for is moved to a spare: without one it does nothing.
  bool needs_spare{};
  /// Unit that takes over when this one fails: the vifs of a net_uk are moved to it, it gets the
  /// command `take_over` with the failed domain's id as its subject, and the failed one is built
  /// anew to be the next spare.
  std::string spare;
  std::uint32_t take_over{1};
};

/// Names of the presets, for messages.
inline constexpr std::array<std::string_view, 4> kPresets{"fg", "cg", "xoar", "tfd"};

/// A preset. `fg`: parts of an image repair themselves, the whole is repaired in place, then built
/// anew. `cg`: the same without parts: any fault costs the whole image a microreboot. `xoar`
/// refreshes by the clock, detects nothing, and loses what was not answered. `tfd` switches to a
/// spare (which must be named) and builds the failed one anew, to be the next spare.
[[nodiscard]] std::optional<Policy> preset(std::string_view name);

}  // namespace ppvmm::root::daemon

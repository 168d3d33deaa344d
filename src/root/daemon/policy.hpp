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
  /// Unit that takes over when this one fails: it gets the command `take_over` with the failed
  /// domain's id as its subject, and the failed one is built anew to be the next spare.
  std::string spare;
  std::uint32_t take_over{1};
};

/// Names of the presets, for messages.
inline constexpr std::array<std::string_view, 4> kPresets{"fg", "cg", "xoar", "tfd"};

/// A preset: `fg` repairs in place first, `cg` always builds the whole domain anew, `xoar`
/// refreshes by the clock and detects nothing, `tfd` switches to a spare (which must be named).
[[nodiscard]] std::optional<Policy> preset(std::string_view name);

}  // namespace ppvmm::root::daemon

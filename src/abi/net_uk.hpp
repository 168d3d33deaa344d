/// What root and a net_uk say to each other: words of a policy, commands, notices.
#pragma once

#include <cstdint>
#include <string_view>

namespace ppvmm::abi::net_uk {

/// Words that root leaves in abi::Orders::words (separated by blanks), in force until the next
/// ones. The whole net_uk ends for any fault of a part of it, so that root puts the whole in place
/// again.
inline constexpr std::string_view kCoarse = "coarse";
/// A new life does not carry out what the last one left unanswered: it answers it as dropped.
inline constexpr std::string_view kLoseUnanswered = "lose-unanswered";

/// The parts that net_uk repairs by itself: bits 0-7 of a notice's subject.
enum class Part : std::uint32_t {
  driver = 0,   ///< The card's driver: restarted over the same card, link kept.
  netback = 1,  ///< The vifs' rings: read anew from the shared pages, the driver goes on.
};

/// What was wrong with a part: bits 8-15 of a notice's subject.
enum class Trouble : std::uint32_t {
  died = 0,     ///< It trapped or gave up.
  stuck = 1,    ///< It held work and did none.
  device = 2,   ///< The device reported an error.
  absent = 3,   ///< The device did not answer.
  ordered = 4,  ///< Root asked for it.
};

[[nodiscard]] constexpr std::uint32_t subject_of(Part part, Trouble trouble) {
  return static_cast<std::uint32_t>(part) | static_cast<std::uint32_t>(trouble) << 8;
}

enum class Notice : std::uint32_t {
  none = 0,
  /// A part failed and works again. `subject`: subject_of(). `value`: nanoseconds from noticing to
  /// working.
  part_repaired = 1,
  /// A part failed and cannot be repaired from inside yet; it is tried again. `value`: frames held.
  part_down = 2,
  /// A vif was disconnected because its front-end broke the protocol. `subject`: domain id in bits
  /// 0-15, handle in bits 16-31. `value`: net::Hostile.
  vif_refused = 3,
  /// A vif is served for which an earlier life, or another net_uk, was connected. `subject` as
  /// above. `value`: requests that were unanswered.
  vif_taken_over = 4,
};

enum class Command : std::uint32_t {
  none = 0,
  /// Another net_uk has failed (`subject`: its domain id; 0: an operator asks) and its vifs come
  /// here: looks for them at once.
  take_over = 1,
  /// Restarts a part (`subject`: Part), as after a fault.
  repair_part = 2,
  /// Logs what was counted.
  statistics = 3,
};

enum class Result : std::uint32_t { done = 0, unknown = 1, no_such_part = 2 };

}  // namespace ppvmm::abi::net_uk

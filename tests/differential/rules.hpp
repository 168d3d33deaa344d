/// The accepted differences between servers: one table, each with its reason.
///
/// The first server of a run is the pivot (ours); every other one is compared with it. We follow
/// the specification (Xen docs/misc/xenstore.txt) where it speaks and C xenstored where it does
/// not, so a difference from xenstored needs a better reason than one from oxenstored.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "differential/server.hpp"
#include "differential/step.hpp"

namespace ppvmm::differential {

/// What a rule looks at.
struct Disagreement {
  enum class About : std::uint8_t {
    step,      ///< Nothing visible; asked so that a rule can say that the states part here.
    answer,    ///< The two answers differ.
    events,    ///< One actor got different events: `missing` only by the pivot, `extra` only by
               ///< the other server.
    outcome,   ///< One committed a transaction and the other said EAGAIN.
    repeated,  ///< It was then done again, and an answer differs from the one that was committed.
    ended,     ///< The server ended after the step.
    tree       ///< A node differs at the end: `path`, and what each has there.
  };
  About about{};
  std::string_view server;  ///< The server that differs from the pivot.
  const Step* step{};       ///< Null for the tree.
  const Limits* limits{};
  bool changed_meanwhile{};     ///< The tree was changed since the step's transaction started.
  bool known_before{};          ///< The domain that the step is about was connected before.
  bool names_unknown_domain{};  ///< SET_PERMS with a domain that does not exist.
  bool nearly_full_node{};      ///< A value or name near a node's size limit was written.
  bool ends_target{};           ///< A domain ends that is the target of another one.
  std::function<bool(std::uint16_t)> has_died;  ///< Or was released, in this run.
  Answer pivot_answer;
  Answer other_answer;
  Actor actor;
  std::vector<Event> missing;
  std::vector<Event> extra;
  std::string path;
  std::string pivot_permissions;  ///< Of the tree's node; empty when only the other has it.
  std::string other_permissions;
};

struct Rule {
  /// What follows for the rest of the run.
  enum class Effect : std::uint8_t {
    none,   ///< The two still hold the same state: comparing goes on.
    parted  ///< They may not: this server is left out from here on.
  };
  std::string_view name;
  std::string_view server;  ///< "xenstored", "oxenstored" or "both".
  Effect effect{};
  std::string_view reason;
  bool (*applies)(const Disagreement&);
};

[[nodiscard]] std::span<const Rule> accepted_differences();

/// The first rule that accepts the disagreement, or nullptr.
[[nodiscard]] const Rule* accepted(const Disagreement& disagreement);

/// The error code of an answer ("ENOENT"), or empty if it is none.
[[nodiscard]] std::string_view error_of(const Answer& answer);

}  // namespace ppvmm::differential

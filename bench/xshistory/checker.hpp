/// Judges a history: **pure**. It knows nothing of the server; what it says follows from what the
/// clients were told, and from what XenStore promises (Xen docs/misc/xenstore.txt).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "history.hpp"

namespace ppvmm::xshistory {

/// Something that no correct server, however slow or often reborn, can have done.
struct Violation {
  std::string rule;  ///< lost write, stale read, wrong bytes, executed twice, torn transaction ...
  std::string key;
  std::uint32_t client{};
  std::uint64_t time{};  ///< Of the answer that shows it; 0: seen only in the whole.
  std::string text;
};

/// An error answer that the client had done nothing to deserve.
struct Shown {
  std::uint32_t client{};
  Kind kind{};
  std::string key;
  std::string error;
  std::uint64_t time{};
};

/// A request that took long: from the question to the answer, or to the history's end.
struct Gap {
  std::uint32_t client{};
  std::uint64_t begin{};
  std::uint64_t end{};
  bool answered{};
};

struct Verdict {
  std::vector<Violation> violations;
  std::vector<Shown> errors;
  std::vector<Gap> unanswered;
  std::map<std::uint32_t, Gap> longest;  ///< Per client: its outage.
  std::vector<Gap> gaps;                 ///< All of at least `gap_ns`, by their begin.
  std::uint64_t operations{};
  std::uint64_t commits{};
  std::uint64_t conflicts{};
  std::uint64_t events{};
};

/// `gap_ns`: from when on a request is listed as a gap.
[[nodiscard]] Verdict check(const History& history, std::uint64_t gap_ns);

// The single rules, for tests and for reading. Each appends to `found`.

/// Registers: linearizable, with unique values. Exact for such histories: Gibbons and Korach,
/// "Testing Shared Memories", SIAM J. Comput. 26 (1997), section 4.2 (zones).
void check_registers(const History& history, std::vector<Violation>& found);
/// Own nodes: each read gives what the client last wrote there.
void check_own(const History& history, std::vector<Violation>& found);
/// Counters: as many as acknowledged increments, no value handed out twice.
void check_counters(const History& history, std::vector<Violation>& found);
/// Pairs: a committed transaction never sees half of another.
void check_pairs(const History& history, std::vector<Violation>& found);
/// Watches: registered once, and an event after the last write; never more events than reasons.
void check_watches(const History& history, std::vector<Violation>& found);

}  // namespace ppvmm::xshistory

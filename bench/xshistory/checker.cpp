#include "checker.hpp"

#include <algorithm>
#include <limits>

#include "rules.hpp"

namespace ppvmm::xshistory {
namespace {

std::uint64_t end_of(const History& history) {
  std::uint64_t end = 0;
  for (const Op& op : history)
    end = std::max({end, op.invoked, op.answered});
  return end;
}

/// Errors that are answers: what was asked for is not there, or a transaction conflicted.
bool deserved(const Op& op) {
  return op.error.empty() || (op.kind == Kind::end && op.error == "EAGAIN") ||
         (op.kind == Kind::read && op.error == "ENOENT");
}

}  // namespace

Verdict check(const History& history, std::uint64_t gap_ns) {
  Verdict verdict;
  const std::uint64_t end = end_of(history);
  for (const Op& op : history) {
    if (op.kind == Kind::event) {
      if (op.key != kEndKey) ++verdict.events;
      continue;
    }
    ++verdict.operations;
    if (op.kind == Kind::end && op.answered != 0 && op.error.empty()) ++verdict.commits;
    if (op.kind == Kind::end && op.error == "EAGAIN") ++verdict.conflicts;
    const Gap gap{.client = op.client,
                  .begin = op.invoked,
                  .end = op.answered != 0 ? op.answered : end,
                  .answered = op.answered != 0};
    if (!gap.answered) verdict.unanswered.push_back(gap);
    if (gap.end - gap.begin >= gap_ns) verdict.gaps.push_back(gap);
    const auto known = verdict.longest.find(op.client);
    if (known == verdict.longest.end()) {
      verdict.longest[op.client] = gap;
    } else if (gap.end - gap.begin > known->second.end - known->second.begin) {
      known->second = gap;
    }
    if (!deserved(op)) {
      verdict.errors.push_back({op.client, op.kind, op.key, op.error, op.answered});
    }
    if (op.kind == Kind::read && op.value == kWrongBytes) {
      verdict.violations.push_back({.rule = "wrong bytes",
                                    .key = op.key,
                                    .client = op.client,
                                    .time = op.answered,
                                    .text = "what was read is nothing that anybody wrote"});
    }
  }
  std::ranges::stable_sort(verdict.gaps, {}, &Gap::begin);
  check_registers(history, verdict.violations);
  check_own(history, verdict.violations);
  check_counters(history, verdict.violations);
  check_pairs(history, verdict.violations);
  check_watches(history, verdict.violations);
  std::ranges::stable_sort(verdict.violations, {}, &Violation::time);
  return verdict;
}

}  // namespace ppvmm::xshistory

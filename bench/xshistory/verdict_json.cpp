#include "verdict_json.hpp"

#include <nlohmann/json.hpp>

namespace ppvmm::xshistory {
namespace {

using nlohmann::ordered_json;

double milliseconds(const Gap& gap) {
  constexpr double kNsPerMs = 1e6;
  return static_cast<double>(gap.end - gap.begin) / kNsPerMs;
}

ordered_json gap_json(const Gap& gap) {
  return {{"client", gap.client},
          {"begin_ns", gap.begin},
          {"end_ns", gap.end},
          {"ms", milliseconds(gap)},
          {"answered", gap.answered}};
}

}  // namespace

std::string to_json(const Verdict& verdict) {
  ordered_json violations = ordered_json::array();
  for (const Violation& each : verdict.violations) {
    violations.push_back({{"rule", each.rule},
                          {"key", each.key},
                          {"client", each.client},
                          {"time_ns", each.time},
                          {"text", each.text}});
  }
  ordered_json errors = ordered_json::array();
  for (const Shown& each : verdict.errors) {
    errors.push_back({{"client", each.client},
                      {"op", name_of(each.kind)},
                      {"key", each.key},
                      {"error", each.error},
                      {"time_ns", each.time}});
  }
  ordered_json gaps = ordered_json::array();
  for (const Gap& gap : verdict.gaps)
    gaps.push_back(gap_json(gap));
  ordered_json longest = ordered_json::array();
  for (const auto& [client, gap] : verdict.longest)
    longest.push_back(gap_json(gap));
  return ordered_json{{"operations", verdict.operations},
                      {"commits", verdict.commits},
                      {"conflicts", verdict.conflicts},
                      {"watch_events", verdict.events},
                      {"unanswered", verdict.unanswered.size()},
                      {"violations", violations},
                      {"errors", errors},
                      {"longest", longest},
                      {"gaps", gaps}}
             .dump() +
         "\n";
}

}  // namespace ppvmm::xshistory

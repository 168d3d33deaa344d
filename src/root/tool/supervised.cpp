// What a running daemon knows and does: history, and repairs that go through it.
#include <fmt/format.h>
#include <poll.h>

#include <map>

#include "root/daemon/control.hpp"
#include "root/daemon/history_json.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {
namespace {

using daemon::Incident;
using nlohmann::ordered_json;

/// Milliseconds between two times, "-" when one of them is not known.
std::string between(std::uint64_t from, std::uint64_t to) {
  return from == 0 || to == 0 || to < from ? "-" : ms_text(to_ms(to - from));
}

std::string steps_of(const Incident& incident) {
  std::string text;
  for (const daemon::RepairStep& step : incident.steps) {
    if (!text.empty()) text += ", ";
    text += step.what;
    if (!step.problem.empty()) text += " (failed: " + step.problem + ")";
  }
  return text.empty() ? "-" : text;
}

std::vector<std::string> row_of(const Incident& incident) {
  constexpr double kMsPerSecond = 1000;
  const std::uint64_t began = incident.injected_ns != 0 ? incident.injected_ns : incident.fault_ns;
  return {std::to_string(incident.id),
          ms_text(to_ms(incident.seen_ns) / kMsPerSecond),
          incident.unit,
          incident.cause,
          incident.injected_what.empty() ? "-" : incident.injected_what,
          between(began, incident.seen_ns),
          between(incident.seen_ns, incident.repaired_ns),
          between(incident.seen_ns, incident.serving_ns),
          std::string(daemon::name_of(incident.outcome)),
          steps_of(incident),
          incident.detail};
}

/// Is a unit of the daemon's status as it should be?
bool well(const ordered_json& unit) {
  const std::string health = unit.value("health", "");
  return unit.value("phase", "") == "watching" && (health == "working" || health == "silent") &&
         unit.value("member", true);
}

}  // namespace

std::optional<std::string> ill(const std::string& state_dir) {
  const auto said = daemon::ask(state_dir, {{"op", "status"}});
  if (!said) return "the daemon does not answer";
  for (const ordered_json& unit : said->at("units")) {
    if (well(unit)) continue;
    return fmt::format("{} is {}, {}", unit.value("name", "?"), unit.value("phase", "?"),
                       unit.value("health", "?"));
  }
  return std::nullopt;
}

Result<void> wait_well(const std::string& state_dir, std::chrono::milliseconds hold,
                       std::chrono::milliseconds limit) {
  constexpr int kPaceMs = 10;
  const auto in_ns = [](std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
  };
  const std::uint64_t end = now_ns() + in_ns(limit);
  std::uint64_t since = 0;
  std::map<std::string, int> reasons;
  while (true) {
    // A daemon that does not answer may just be started again.
    const auto wrong = ill(state_dir);
    const std::uint64_t now = now_ns();
    if (wrong) {
      ++reasons[*wrong];
      since = 0;
    } else if (since == 0) {
      since = now;
    }
    if (!wrong && now - since >= in_ns(hold)) return {};
    if (now >= end) break;
    poll(nullptr, 0, kPaceMs);
  }
  std::string text = fmt::format("not well within {} ms", limit.count());
  for (const auto& [reason, times] : reasons)
    text += fmt::format("; {} times: {}", times, reason);
  return refused(text);
}

int await_well(const Common& common, std::uint32_t hold_ms) {
  const auto all = wait_well(common.state_dir, std::chrono::milliseconds(hold_ms), common.limit());
  return all ? kDone : complain(all.error());
}

int history(const Common& common, std::size_t last) {
  auto said = daemon::ask(common.state_dir, {{"op", "history"}});
  if (!said) return complain(said.error());
  ordered_json& incidents = (*said)["incidents"];
  while (last != 0 && incidents.size() > last)
    incidents.erase(incidents.begin());
  if (common.json != "-") {
    std::vector<std::vector<std::string>> rows;
    for (const ordered_json& each : incidents) {
      const auto incident = daemon::incident_from_json(each);
      if (!incident) return complain(incident.error());
      rows.push_back(row_of(*incident));
    }
    print_table({"id", "seen at s", "unit", "cause", "injected", "seen after ms",
                 "repaired after ms", "serving after ms", "outcome", "repairs", "detail"},
                rows);
    const std::size_t unseen = (*said)["unseen_injections"].size();
    if (unseen != 0) fmt::print("{} injected faults have had no visible consequence\n", unseen);
  }
  said->erase("ok");
  return write_json(common, *said);
}

Result<ordered_json> repair_by_daemon(const Common& common, const std::string& name,
                                      const std::string& how) {
  const auto ordered =
      daemon::ask(common.state_dir, {{"op", "repair"}, {"unit", name}, {"how", how}});
  if (!ordered) return std::unexpected(ordered.error());
  const std::uint64_t id = ordered->value("incident", std::uint64_t{0});
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(common.limit()).count());
  while (true) {
    const auto said =
        daemon::ask(common.state_dir, {{"op", "history"}, {"since", id == 0 ? 0 : id - 1}});
    if (!said) return std::unexpected(said.error());
    for (const ordered_json& each : said->at("incidents")) {
      if (each.value("id", std::uint64_t{0}) != id) continue;
      if (each.value("outcome", "") == "repaired") return each;
      if (each.value("outcome", "") == "stopped") {
        return refused(name + ": " + each.value("detail", "given up"));
      }
    }
    if (now_ns() >= end) {
      return refused(fmt::format("{} is not repaired after {} ms", name, common.limit_ms));
    }
    poll(nullptr, 0, 2);  // the daemon does the work; this only asks how far it is
  }
}

}  // namespace ppvmm::root::tool

// What the daemon answers on its socket.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "root/daemon/daemon.hpp"
#include "root/daemon/history_json.hpp"

namespace ppvmm::root::daemon {
namespace {

using nlohmann::ordered_json;

ordered_json refusal(const std::string& why) {
  return {{"ok", false}, {"problem", why}};
}

}  // namespace

ordered_json Daemon::answer(const ordered_json& question) {
  try {
    const std::string op = question.value("op", "");
    if (op == "status") return status();
    if (op == "history") return history_since(question.value("since", std::uint64_t{0}));
    const std::string unit = question.value("unit", "");
    if (op == "injected") {
      if (const auto hit = supervisor_.find(unit)) handles_.at(*hit)->tolerate_pause(0);
      history_.injected(unit, question.value("what", "a fault"),
                        question.value("at_ns", std::uint64_t{0}));
      return {{"ok", true}};
    }
    if (op != "release" && op != "repair" && op != "hold" && op != "order") {
      return refusal("op is one of status, history, injected, hold, order, release, repair");
    }
    const auto id = supervisor_.find(unit);
    if (!id) return refusal("no unit named \"" + unit + "\" is supervised");
    if (op == "hold") {
      constexpr std::uint64_t kLongest = 10'000;
      const std::uint64_t ms = std::min(question.value("ms", std::uint64_t{0}), kLongest);
      handles_.at(*id)->tolerate_pause(judged_ns_ + ms * kNsPerMs);
      return {{"ok", true}};
    }
    if (op == "release") {
      release(*id);
      return {{"ok", true}};
    }
    if (op == "order") {
      const Acted given =
          handles_.at(*id)->command({.unit = *id,
                                     .act = Act::command,
                                     .cause = {},
                                     .words = {},
                                     .command = question.value("command", std::uint32_t{0}),
                                     .subject = question.value("subject", std::uint64_t{0})});
      if (!given.ok) return refusal(given.problem);
      return {{"ok", true}, {"serial", given.serial}};
    }
    const std::string how = question.value("how", "");
    if (how != "microreboot" && how != "rebuild") {
      return refusal("how is microreboot or rebuild");
    }
    if (how == "rebuild" && handles_.at(*id)->record().adopted) {
      return refusal("\"" + unit + "\" was created by xl, and only xl can create it again");
    }
    const Repair repair = how == "rebuild" ? Repair::rebuild : Repair::microreboot;
    if (!supervisor_.order(*id, repair, now_ns())) {
      return refusal("\"" + unit + "\" is under repair already");
    }
    return {{"ok", true}, {"incident", supervisor_.status(*id).incident}};
  } catch (const nlohmann::json::exception& problem) {
    return refusal(problem.what());
  }
}

ordered_json Daemon::status() {
  ordered_json units = ordered_json::array();
  for (const auto& [id, handle] : handles_) {
    const UnitInfo& info = supervisor_.info(id);
    const UnitStatus seen = supervisor_.status(id);
    const auto& reboot = handle->last_reboot();
    ordered_json unit = {{"name", info.name},
                         {"domid", info.domid},
                         {"policy", info.policy.name},
                         {"phase", name_of(seen.phase)},
                         {"health", name_of(seen.health)},
                         {"microreboots", seen.microreboots},
                         {"rebuilds", seen.rebuilds},
                         {"pings", seen.pings},
                         {"incident", seen.incident}};
    if (info.place.role != SetRole::none) {
      unit["set"] = info.place.set;
      unit["role"] = info.place.role == SetRole::primary ? "primary" : "backup";
    }
    if (info.driver_domain) unit["part_repairs"] = seen.parts;
    if (info.place.role == SetRole::backup) unit["member"] = seen.member;
    if (reboot) {
      unit["last_microreboot"] = {{"pause_ns", reboot->pause_ns},
                                  {"restore_ns", reboot->restore_ns},
                                  {"enter_ns", reboot->enter_ns},
                                  {"restored_pages", reboot->restored.pages},
                                  {"damaged_pages", reboot->restored.damaged}};
    }
    if (const auto& rebuild = handle->last_rebuild()) {
      unit["last_rebuild"] = {{"let_go_ns", rebuild->let_go_ns},
                              {"destroy_ns", rebuild->destroy_ns},
                              {"build_ns", rebuild->build_ns},
                              {"hold_ns", rebuild->hold_ns}};
    }
    units.push_back(std::move(unit));
  }
  ordered_json refused = ordered_json::array();
  for (const auto& [name, why] : refused_)
    refused.push_back({{"name", name}, {"why", why}});
  return {{"ok", true},
          {"pid", getpid()},
          {"up_ns", now_ns() - started_ns_},
          {"looks", looks_},
          {"asked_xen", asked_},
          {"working_ns", working_ns_},
          {"scrubbed_pages", scrubbed_},
          {"lost_notices", lost_notices_},
          {"units", units},
          {"not_supervised", refused}};
}

ordered_json Daemon::history_since(std::uint64_t id) {
  ordered_json incidents = ordered_json::array();
  for (const Incident& incident : history_.incidents()) {
    if (incident.id > id) incidents.push_back(to_json(incident));
  }
  ordered_json unseen = ordered_json::array();
  for (const History::Injection& each : history_.unseen()) {
    unseen.push_back({{"unit", each.unit}, {"what", each.what}, {"at_ns", each.at_ns}});
  }
  return {{"ok", true}, {"incidents", incidents}, {"unseen_injections", unseen}};
}

}  // namespace ppvmm::root::daemon

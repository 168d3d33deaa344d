#include "root/daemon/history_json.hpp"

namespace ppvmm::root::daemon {

NLOHMANN_JSON_SERIALIZE_ENUM(Outcome, {{Outcome::open, "open"},
                                       {Outcome::repaired, "repaired"},
                                       {Outcome::stopped, "stopped"},
                                       {Outcome::noted, "noted"}})

using nlohmann::ordered_json;

ordered_json to_json(const Incident& incident) {
  ordered_json steps = ordered_json::array();
  for (const RepairStep& step : incident.steps) {
    steps.push_back({{"what", step.what},
                     {"begin_ns", step.begin_ns},
                     {"end_ns", step.end_ns},
                     {"problem", step.problem}});
  }
  return {{"id", incident.id},
          {"unit", incident.unit},
          {"cause", incident.cause},
          {"detail", incident.detail},
          {"outcome", incident.outcome},
          {"injected", incident.injected_what},
          {"injected_ns", incident.injected_ns},
          {"fault_ns", incident.fault_ns},
          {"seen_ns", incident.seen_ns},
          {"repaired_ns", incident.repaired_ns},
          {"serving_ns", incident.serving_ns},
          {"steps", steps}};
}

Result<Incident> incident_from_json(const ordered_json& data) {
  try {
    Incident incident;
    data.at("id").get_to(incident.id);
    data.at("unit").get_to(incident.unit);
    data.at("cause").get_to(incident.cause);
    data.at("detail").get_to(incident.detail);
    data.at("outcome").get_to(incident.outcome);
    data.at("injected").get_to(incident.injected_what);
    data.at("injected_ns").get_to(incident.injected_ns);
    data.at("fault_ns").get_to(incident.fault_ns);
    data.at("seen_ns").get_to(incident.seen_ns);
    data.at("repaired_ns").get_to(incident.repaired_ns);
    data.at("serving_ns").get_to(incident.serving_ns);
    for (const ordered_json& each : data.at("steps")) {
      RepairStep step;
      each.at("what").get_to(step.what);
      each.at("begin_ns").get_to(step.begin_ns);
      each.at("end_ns").get_to(step.end_ns);
      each.at("problem").get_to(step.problem);
      incident.steps.push_back(std::move(step));
    }
    return incident;
  } catch (const nlohmann::json::exception& problem) {
    return refused(std::string("no incident: ") + problem.what());
  }
}

}  // namespace ppvmm::root::daemon

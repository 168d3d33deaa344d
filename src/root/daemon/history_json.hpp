/// Incidents as JSON: for the history file, the socket and `ppvmm history`.
#pragma once

#include <nlohmann/json.hpp>

#include "root/daemon/history.hpp"
#include "root/failure.hpp"

namespace ppvmm::root::daemon {

[[nodiscard]] nlohmann::ordered_json to_json(const Incident& incident);
/// Fails with what is missing.
[[nodiscard]] Result<Incident> incident_from_json(const nlohmann::ordered_json& data);

}  // namespace ppvmm::root::daemon

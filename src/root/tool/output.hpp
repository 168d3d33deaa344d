/// What the commands print: lines and tables for people, the same as JSON for programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "root/failure.hpp"
#include "root/summary.hpp"
#include "root/tool/commands.hpp"

namespace ppvmm::root::tool {

/// Says on stderr what went wrong; returns the exit code for it.
[[nodiscard]] int complain(const Failure& failure);

/// Asks a running daemon for a repair and waits until it has ended. Returns its incident.
[[nodiscard]] Result<nlohmann::ordered_json> repair_by_daemon(const Common& common,
                                                              const std::string& name,
                                                              const std::string& how);

/// Asks a running daemon what is not as it should be; nothing: all that it watches is well.
[[nodiscard]] std::optional<std::string> ill(const std::string& state_dir);
/// Waits until all has been well for `hold` on end. Fails with what was not.
[[nodiscard]] Result<void> wait_well(const std::string& state_dir, std::chrono::milliseconds hold,
                                     std::chrono::milliseconds limit);

/// Writes the result where --json says. Returns kDone, or kWrong when the file cannot be written.
[[nodiscard]] int write_json(const Common& common, const nlohmann::ordered_json& result);

/// Rows under a heading, columns aligned: text to the left, numbers (as they look) to the right.
void print_table(const std::vector<std::string>& heading,
                 const std::vector<std::vector<std::string>>& rows);

/// A series of measurements as one record of the project's result format.
[[nodiscard]] nlohmann::ordered_json record(std::string_view system, std::string_view metric,
                                            std::string_view unit, const Summary& summary);

[[nodiscard]] double to_ms(std::uint64_t nanoseconds);
/// "1.234": milliseconds with three places.
[[nodiscard]] std::string ms_text(double milliseconds);

}  // namespace ppvmm::root::tool

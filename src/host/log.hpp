/// The daemon's log: one line per record, to standard error or to a file that can be reopened after
/// it was moved away.
#pragma once

#include <filesystem>
#include <string>

#include "store/machine.hpp"

namespace ppvmm::host {

/// Levels of --log-level.
enum class LogLevel { debug, info, warning, error, off };

/// Sends the log to `file`, or to standard error when it is empty, from `level` on. Throws
/// spdlog::spdlog_ex when the file cannot be opened.
void open_log(const std::filesystem::path& file, LogLevel level);

/// Writes one of the machine's records with the present time.
void write_log(const store::LogRecord& record);

}  // namespace ppvmm::host

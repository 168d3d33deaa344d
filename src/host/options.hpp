/// The command line of ppvmm-xenstored.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>

#include "host/log.hpp"
#include "host/transport.hpp"
#include "store/machine.hpp"

namespace ppvmm::host {

/// Everything that can be set from outside.
struct Settings {
  std::filesystem::path socket;
  std::filesystem::path log_file;  ///< Empty: standard error.
  std::filesystem::path pid_file;  ///< Empty: none.
  std::filesystem::path restore;   ///< State to start from; empty: an empty store.
  std::filesystem::path dump;      ///< Where SIGUSR1 writes the state; empty: nowhere.
  LogLevel log_level{LogLevel::info};
  std::size_t max_connections{1024};
  Io io{Io::automatic};
  bool foreground{true};
  store::Options machine;
};

/// Reads the command line. On --help, --version or a mistake it has printed what there is to say,
/// and the error is the exit code.
[[nodiscard]] std::expected<Settings, int> parse_command_line(int argc, const char* const* argv);

}  // namespace ppvmm::host

#include "host/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "host/socket.hpp"

namespace ppvmm::host {
namespace {

std::string quota_help() {
  std::string names;
  const store::Quotas defaults;
  for (const auto& quota : store::kQuotaNames) {
    if (!names.empty()) names += ", ";
    names += std::string{quota.name} + "=" + std::to_string(defaults.*quota.field);
  }
  return "Set a limit of unprivileged domains; may be repeated. Defaults: " + names;
}

void set_quota(store::Quotas& quotas, const std::string& text) {
  const auto equals = std::min(text.find('='), text.size());
  const auto known = std::ranges::find(store::kQuotaNames, std::string_view{text}.substr(0, equals),
                                       &store::QuotaName::name);
  if (known == store::kQuotaNames.end()) {
    throw CLI::ValidationError("--quota", "no limit is called '" + text.substr(0, equals) + "'");
  }
  const char* end = text.data() + text.size();
  const char* digits = std::min(text.data() + equals + 1, end);
  std::uint32_t value{};
  const auto parsed = std::from_chars(digits, end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    throw CLI::ValidationError("--quota", "'" + text + "' is not NAME=NUMBER");
  }
  quotas.*(known->field) = value;
}

}  // namespace

std::expected<Settings, int> parse_command_line(int argc, const char* const* argv) {
  Settings settings;
  settings.socket = default_socket_path();
  std::vector<std::string> quotas;
  const std::map<std::string, LogLevel> levels{{"debug", LogLevel::debug},
                                               {"info", LogLevel::info},
                                               {"warning", LogLevel::warning},
                                               {"error", LogLevel::error},
                                               {"off", LogLevel::off}};
  const std::map<std::string, Io> transports{
      {"auto", Io::automatic}, {"epoll", Io::epoll}, {"io_uring", Io::io_uring}};

  CLI::App app{
      "A XenStore server on a Unix socket, for xenstore-* and everything else that uses "
      "libxenstore.\n"
      "It needs no hypervisor: socket clients speak for domain 0, and there are no other domains.",
      "ppvmm-xenstored"};
  app.footer(
      "Signals: SIGTERM and SIGINT stop it, SIGHUP reopens the log, SIGUSR1 writes the state "
      "(--dump).\nIt prints READY and the socket's path when it serves, and tells a service "
      "manager "
      "(sd_notify).\nExit codes: 0 stopped as asked, 1 a failure told in the log, others: wrong "
      "command line.");
  app.set_version_flag("--version", std::string{"ppvmm-xenstored "} + PPVMM_VERSION);
  app.add_option("--socket", settings.socket,
                 "Where to listen; $XENSTORED_PATH or $XENSTORED_RUNDIR change the default")
      ->capture_default_str();
  app.add_option("--quota", quotas, quota_help())->type_name("NAME=VALUE");
  app.add_option("--memory-limit", settings.machine.memory_limit,
                 "Bytes the whole store may use; 0: no limit")
      ->capture_default_str();
  app.add_option("--max-connections", settings.max_connections,
                 "Clients at the same time; more are refused, counted and logged")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--io", settings.io,
                 "How bytes travel: io_uring takes fewer system calls; auto uses it if it is there")
      ->transform(CLI::CheckedTransformer(transports))
      ->default_str("auto");
  app.add_option("--log-level", settings.log_level, "Least important records to log")
      ->transform(CLI::CheckedTransformer(levels))
      ->default_str("info");
  app.add_option("--log-file", settings.log_file, "Log there instead of to standard error");
  app.add_option("--pid-file", settings.pid_file, "Write the process id there while running");
  app.add_option("--restore", settings.restore, "Start from this dump (docs/xenstore-stream.md)")
      ->check(CLI::ExistingFile);
  app.add_option("--dump", settings.dump, "On SIGUSR1 write the whole state to this file");
  app.add_flag("--foreground,!--daemon", settings.foreground,
               "Stay in the foreground (default), or go to the background when ready");
  try {
    app.parse(argc, argv);
    for (const auto& quota : quotas)
      set_quota(settings.machine.quotas, quota);
  } catch (const CLI::ParseError& error) {
    return std::unexpected{app.exit(error)};
  }
  return settings;
}

}  // namespace ppvmm::host

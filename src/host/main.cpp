/// ppvmm-xenstored: the store machine behind a Unix socket.
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include "host/log.hpp"
#include "host/notify.hpp"
#include "host/options.hpp"
#include "host/server.hpp"
#include "host/socket.hpp"
#include "host/state_file.hpp"

namespace ppvmm::host {
namespace {

/// Removes a file when the daemon ends.
class FileWhileRunning {
 public:
  explicit FileWhileRunning(std::filesystem::path path) : path_{std::move(path)} {}
  FileWhileRunning(const FileWhileRunning&) = delete;
  FileWhileRunning& operator=(const FileWhileRunning&) = delete;
  ~FileWhileRunning() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }

 private:
  std::filesystem::path path_;
};

void write_pid_file(const std::filesystem::path& path) {
  if (path.empty()) return;
  std::ofstream file{path};
  file << ::getpid() << '\n';
  if (!file.flush()) throw system_failure("writing '" + path.native() + "'");
}

/// As many descriptors as the hard limit allows; the rest of --max-connections is refused one by
/// one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

store::Machine first_state(const Settings& settings) {
  if (settings.restore.empty()) return store::Machine{settings.machine};
  return read_state(settings.restore, settings.machine);
}

int serve(const Settings& settings) {
  open_log(settings.log_file, settings.log_level);
  raise_descriptor_limit();
  Server server{first_state(settings), listen_on(settings.socket), settings.max_connections,
                settings.io};
  const FileWhileRunning socket{settings.socket};
  if (!settings.foreground && ::daemon(1, 0) != 0) throw system_failure("going to the background");
  const FileWhileRunning pid_file{settings.pid_file};
  write_pid_file(settings.pid_file);

  spdlog::info("serving on {}", settings.socket.native());
  std::printf("READY %s\n", settings.socket.c_str());
  std::fflush(stdout);
  notify_service_manager("READY=1");
  while (true) {
    switch (server.run()) {
      case Wake::stop:
        notify_service_manager("STOPPING=1");
        spdlog::info("stopping as asked");
        return 0;
      case Wake::reopen_log:
        open_log(settings.log_file, settings.log_level);
        spdlog::info("log reopened");
        break;
      case Wake::dump:
        dump_state(server.machine(), settings.dump);
        break;
    }
  }
}

}  // namespace
}  // namespace ppvmm::host

int main(int argc, char** argv) {
  const auto settings = ppvmm::host::parse_command_line(argc, argv);
  if (!settings) return settings.error();
  try {
    return ppvmm::host::serve(*settings);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
}

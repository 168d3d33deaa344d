// ppvmm-root: the daemon that watches PpVMM's unikernels and repairs them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include "host/notify.hpp"
#include "root/daemon/daemon.hpp"

namespace {

using namespace ppvmm::root;
using namespace ppvmm::root::daemon;

volatile std::sig_atomic_t stop = 0;

void on_signal(int /*number*/) {
  stop = 1;
}

int complain(const Failure& failure) {
  fmt::print(stderr, "ppvmm-root: {}\n", failure.text());
  return 1;
}

/// One daemon for each state directory. The lock goes with the process, however it ends.
Result<void> lock(const std::string& state_dir) {
  std::error_code code;
  std::filesystem::create_directories(state_dir, code);
  if (code) return std::unexpected(Failure{"make " + state_dir, code.value()});
  const std::string path = state_dir + "/root.pid";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return failed("open " + path);
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return refused("another ppvmm-root supervises " + state_dir);
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(file, 0) != 0 ||
      write(file, pid.data(), pid.size()) != static_cast<ssize_t>(pid.size())) {
    return failed("write " + path);
  }
  return {};  // the descriptor stays open: it is the lock
}

/// A fault is seen when this process runs, so it runs first; from the beginning, for who starts it
/// again after its death has nobody who watches. Threads of the metrics do not inherit that. A host
/// that does not allow it is told of, and served all the same.
void run_first() {
  constexpr int kPriority = 20;
  const sched_param priority{.sched_priority = kPriority};
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) != 0) {
    fmt::print(stderr, "ppvmm-root: cannot run at real-time priority: {}\n", std::strerror(errno));
  }
}

void stay_in_memory() {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    fmt::print(stderr, "ppvmm-root: cannot lock its memory: {}\n", std::strerror(errno));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Watches PpVMM's unikernels and repairs them. Run it as root in dom0."};
  std::string config_path;
  std::string state_dir = "/run/ppvmm";
  bool check = false;
  app.add_option("--config", config_path, "TOML file; without one the defaults hold");
  app.add_option("--state-dir", state_dir, "Where started unikernels are remembered")
      ->capture_default_str();
  app.add_flag("--check", check, "Only read the configuration");
  CLI11_PARSE(app, argc, argv);

  auto config = config_path.empty() ? Result<Config>(default_config()) : load_config(config_path);
  if (!config) return complain(config.error());
  if (check) {
    fmt::print("the configuration is sound\n");
    return 0;
  }
  if (const auto locked = lock(state_dir); !locked) return complain(locked.error());

  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const bool realtime = config->realtime;
  if (realtime) run_first();
  auto daemon = Daemon::start(std::move(*config), state_dir);
  if (!daemon) return complain(daemon.error());
  if (realtime) stay_in_memory();
  ppvmm::host::notify_service_manager("READY=1");
  if (const auto ran = (*daemon)->run(stop); !ran) return complain(ran.error());
  ppvmm::host::notify_service_manager("STOPPING=1");
  return 0;
}

#include "peers/peer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace ppvmm::peers {
namespace {

namespace fs = std::filesystem;

constexpr int kStartLimitMs = 10'000;

using Arguments = std::vector<std::string>;

Arguments xenstored_arguments(const fs::path& binary, const PeerLimits& limits) {
  Arguments arguments{binary, "--no-fork"};
  const auto limit = [&](const char* option, const std::optional<std::uint32_t>& value) {
    if (value) arguments.insert(arguments.end(), {option, std::to_string(*value)});
  };
  limit("--entry-nb", limits.nodes);
  limit("--entry-size", limits.node_size);
  limit("--watch-nb", limits.watches);
  limit("--transaction", limits.transactions);
  limit("--path-max", limits.path_length);
  return arguments;
}

Arguments oxenstored_arguments(const fs::path& binary, const fs::path& directory,
                               const PeerLimits& limits) {
  const fs::path config = directory / "oxenstored.conf";
  std::ofstream out(config);
  out << "pid-file = " << (directory / "pid").string() << '\n'
      << "xenstored-kva = /proc/xen/xsd_kva\nxenstored-port = /proc/xen/xsd_port\n"
      << "xenstored-log-file = " << (directory / "oxenstored.log").string()
      << '\n'
      // Its own place for this, /var/log/xen, exists only where Debian's Xen packages are
      // installed.
      << "access-log-file = " << (directory / "oxenstored-access.log").string() << '\n';
  const auto limit = [&](const char* key, const std::optional<std::uint32_t>& value) {
    if (value) out << key << " = " << *value << '\n';
  };
  limit("quota-maxentity", limits.nodes);
  limit("quota-maxsize", limits.node_size);
  limit("quota-maxwatch", limits.watches);
  limit("quota-transaction", limits.transactions);
  limit("quota-path-max", limits.path_length);
  return {binary, "--no-fork", "--config-file", config};
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings)
    result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view view = *entry;
    if (!changes.contains(std::string(view.substr(0, view.find('='))))) result.emplace_back(view);
  }
  for (const auto& [key, value] : changes)
    result.push_back(key + "=" + value);
  return result;
}

/// A directory with links to the Xen libraries of an extracted tree, and to nothing else in it: a C
/// library from there would not fit the loader of this machine.
fs::path xen_libraries(const PeerFiles& files, const fs::path& directory) {
  const fs::path links = directory / "lib";
  fs::create_directory(links);
  for (const auto& entry : fs::directory_iterator(files.root / "usr/lib/x86_64-linux-gnu"))
    if (entry.path().filename().string().starts_with("libxen"))
      fs::create_symlink(fs::absolute(entry.path()), links / entry.path().filename());
  return links;
}

/// Waits for the byte that the stand-in writes from within listen(); false when the daemon closed
/// its end (it exited) or took too long.
bool wait_ready(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  char byte{};
  return poll(&waiting, 1, kStartLimitMs) == 1 && read(fd, &byte, 1) == 1;
}

}  // namespace

std::string_view name_of(PeerKind kind) {
  return kind == PeerKind::xenstored ? "xenstored" : "oxenstored";
}

std::optional<fs::path> find_peer(PeerKind kind, const PeerFiles& files) {
  std::error_code ignored;
  std::optional<fs::path> found;
  for (const auto& entry : fs::directory_iterator(files.root / "usr/lib", ignored)) {
    if (!entry.path().filename().string().starts_with("xen-")) continue;
    const fs::path binary = entry.path() / "bin" / name_of(kind);
    if (fs::exists(binary, ignored) && (!found || *found < binary)) found = binary;
  }
  return found;
}

Peer::Peer(PeerKind kind, const FakeHost& host, const fs::path& socket, const PeerLimits& limits,
           const PeerFiles& files)
    : log_(host.directory() / "log") {
  const std::string name{name_of(kind)};
  const auto binary = find_peer(kind, files);
  if (!binary)
    throw std::runtime_error(name + " not found under " + (files.root / "usr/lib").string() +
                             "/xen-*/bin; it is in Debian's package xen-utils-4.17");
  const fs::path place = fs::absolute(socket);
  if (place.string().size() >= sizeof(sockaddr_un::sun_path))
    throw std::runtime_error("socket path too long: " + place.string());
  Arguments arguments = kind == PeerKind::xenstored
                            ? xenstored_arguments(*binary, limits)
                            : oxenstored_arguments(*binary, host.directory(), limits);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe for " + name);
  const Fd ready{ends[0]};
  Fd child_end{ends[1]};
  const Fd log{open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};

  std::map<std::string, std::string> changes{{"LD_PRELOAD", PPVMM_FAKEXEN_LIBRARY},
                                             {"FAKEXEN_DIR", host.directory()},
                                             {"FAKEXEN_SOCKET", place},
                                             {"FAKEXEN_READY_FD", std::to_string(ends[1])},
                                             {"XENSTORED_RUNDIR", host.directory() / "run"},
                                             {"XENSTORED_PATH", place}};
  if (files.root != "/") changes["LD_LIBRARY_PATH"] = xen_libraries(files, host.directory());
  std::vector<std::string> variables = environment(changes);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(variables);

  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork for " + name);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    fcntl(ends[1], F_SETFD, 0);
    dup2(log.get(), STDOUT_FILENO);
    dup2(log.get(), STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  child_end = Fd{};
  if (!wait_ready(ready.get())) {
    const std::string how = ended().value_or("no socket after 10 s");
    const std::string words = output();
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error(name + " did not start (" + how + "): " + words);
  }
}

Peer::~Peer() {
  if (ended()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::optional<std::string> Peer::ended() {
  int status{};
  if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_)
    ended_ = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                 : "exit status " + std::to_string(WEXITSTATUS(status));
  return ended_;
}

std::string Peer::output() const {
  std::ostringstream text;
  text << std::ifstream(log_).rdbuf();
  return text.str();
}

}  // namespace ppvmm::peers

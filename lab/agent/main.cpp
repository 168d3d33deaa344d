/// The lab's agent and its applets in one program; the name it is called by chooses. In dom0 the
/// applets talk to the agent; in a guest, where there is none, they put their message on the
/// console.
///
///   lab-agent serve                   the agent itself
///   event WHAT [COMPONENT]            something happened now
///   record SYSTEM METRIC UNIT VALUE…  samples of a measure
///   check NAME COMMAND…               runs a command and reports whether it succeeded
///   fail TEXT…                        the scenario has failed
///   sendfile PATH [NAME]              a file that is to leave the machine
///   outside SECONDS COMMAND…          runs a shell command in the network outside the machine
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fd.hpp"
#include "protocol.hpp"
#include "server.hpp"

namespace {

using nlohmann::json;
using ppvmm::lab::Fd;
using Arguments = std::vector<std::string>;

constexpr int kUsage = 64;

bool report(json message) {
  message["t"] = ppvmm::lab::now_ns();
  const std::string line = ppvmm::lab::to_line(message);
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ppvmm::lab::kSocketPath.copy(address.sun_path, sizeof address.sun_path - 1);
  if (sendto(socket.get(), line.data(), line.size(), 0, reinterpret_cast<const sockaddr*>(&address),
             sizeof address) == static_cast<ssize_t>(line.size())) {
    return true;
  }
  const Fd console(open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC));
  const std::string marked = std::string(ppvmm::lab::kConsoleMark) + line;
  return write(console.get(), marked.data(), marked.size()) == static_cast<ssize_t>(marked.size());
}

int event(const Arguments& args) {
  return report({{"k", "event"}, {"what", args[0]}, {"component", args.size() > 1 ? args[1] : ""}})
             ? 0
             : 1;
}

int record(const Arguments& args) {
  if (args.size() < 4) {
    std::fputs("usage: record SYSTEM METRIC UNIT VALUE...\n", stderr);
    return kUsage;
  }
  json values = json::array();
  for (std::size_t i = 3; i < args.size(); ++i) {
    char* end = nullptr;
    const double value = std::strtod(args[i].c_str(), &end);
    if (end == args[i].c_str() || *end != '\0') {
      std::fprintf(stderr, "record: not a number: %s\n", args[i].c_str());
      return kUsage;
    }
    values.push_back(value);
  }
  return report({{"k", "record"},
                 {"system", args[0]},
                 {"metric", args[1]},
                 {"unit", args[2]},
                 {"values", values}})
             ? 0
             : 1;
}

/// Runs a command with output and errors in a file; returns its exit code and the last of its text.
std::pair<int, std::string> run(const Arguments& args, std::size_t first) {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) {
    return {127, "no temporary file"};
  }
  std::vector<char*> argv;
  for (std::size_t i = first; i < args.size(); ++i) {
    argv.push_back(const_cast<char*>(args[i].c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(file), 1);
  posix_spawn_file_actions_adddup2(&actions, fileno(file), 2);
  pid_t pid = -1;
  int status = 127 << 8;
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0) {
    waitpid(pid, &status, 0);
  }
  posix_spawn_file_actions_destroy(&actions);
  constexpr long kTail = 2000;
  std::fseek(file, 0, SEEK_END);
  const long size = std::ftell(file);
  std::fseek(file, std::max(0L, size - kTail), SEEK_SET);
  std::string text(static_cast<std::size_t>(std::min(size, kTail)), '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text};
}

int check(const Arguments& args) {
  if (args.size() < 2) {
    std::fputs("usage: check NAME COMMAND...\n", stderr);
    return kUsage;
  }
  const auto [code, text] = run(args, 1);
  report({{"k", "check"}, {"name", args[0]}, {"ok", code == 0}, {"code", code}, {"detail", text}});
  return code;
}

int fail(const Arguments& args) {
  std::string text;
  for (const std::string& arg : args) {
    text += (text.empty() ? "" : " ") + arg;
  }
  report({{"k", "fail"}, {"what", text}});
  return 1;
}

int sendfile(const Arguments& args) {
  const std::string& path = args[0];
  const std::string name = args.size() > 1 ? args[1] : path.substr(path.rfind('/') + 1);
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    std::fprintf(stderr, "sendfile: cannot open %s\n", path.c_str());
    return 1;
  }
  std::vector<char> buffer(ppvmm::lab::kFileChunk);
  ssize_t got = 0;
  do {
    got = read(file.get(), buffer.data(), buffer.size());
    const std::string_view bytes(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    if (!report({{"k", "file"},
                 {"name", name},
                 {"d", ppvmm::lab::base64_encode(bytes)},
                 {"last", got <= 0}})) {
      return 1;
    }
  } while (got > 0);
  return got < 0 ? 1 : 0;
}

/// What the host wrote into a file, once it is there; nothing after `seconds`.
std::optional<std::string> wait_for_file(const std::string& path, double seconds) {
  const std::int64_t end = ppvmm::lab::now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  for (;;) {
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.valid()) {
      std::string text;
      std::array<char, 4096> buffer;
      for (ssize_t got = 0; (got = read(file.get(), buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
      }
      // The file is there before its content is.
      if (text.ends_with('\n')) {
        return text;
      }
    }
    if (ppvmm::lab::now_ns() > end) {
      return std::nullopt;
    }
    poll(nullptr, 0, 5);
  }
}

int outside(const Arguments& args) {
  const double seconds = std::strtod(args[0].c_str(), nullptr);
  if (args.size() < 2 || seconds <= 0) {
    std::fputs("usage: outside SECONDS COMMAND...\n", stderr);
    return kUsage;
  }
  std::string command;
  for (std::size_t i = 1; i < args.size(); ++i) {
    command += (i > 1 ? " " : "") + args[i];
  }
  const std::string number = std::to_string(getpid());
  const std::string place = "/run/lab/outside." + number;
  unlink((place + ".code").c_str());
  if (!report({{"k", "outside"}, {"n", number}, {"cmd", command}, {"timeout_s", seconds}})) {
    return 1;
  }
  // The code comes last; the host keeps the command's own limit.
  const auto code = wait_for_file(place + ".code", 4 * seconds + 30);
  if (!code) {
    std::fputs("outside: no answer\n", stderr);
    return 125;
  }
  const Fd out(open((place + ".out").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = read(out.get(), buffer.data(), buffer.size())) > 0;) {
    std::fwrite(buffer.data(), 1, static_cast<std::size_t>(got), stdout);
  }
  return std::atoi(code->c_str());
}

int call(std::string_view applet, const Arguments& args) {
  struct Applet {
    std::string_view name;
    int (*function)(const Arguments&);
  };
  constexpr std::array<Applet, 6> kApplets = {{{"event", event},
                                               {"record", record},
                                               {"check", check},
                                               {"fail", fail},
                                               {"sendfile", sendfile},
                                               {"outside", outside}}};
  for (const Applet& each : kApplets) {
    if (each.name == applet) {
      if (args.empty()) {
        std::fprintf(stderr, "usage: %.*s ARGUMENT...\n", static_cast<int>(applet.size()),
                     applet.data());
        return kUsage;
      }
      return each.function(args);
    }
  }
  std::fputs(
      "usage: lab-agent serve | event | record | check | fail | sendfile | outside (see "
      "lab/README.md)\n",
      stderr);
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments args(argv, argv + argc);
  std::string name = args[0].substr(args[0].rfind('/') + 1);
  args.erase(args.begin());
  if (name == "lab-agent" && !args.empty()) {
    name = args[0];
    args.erase(args.begin());
  }
  if (name == "serve") {
    return ppvmm::lab::serve();
  }
  return call(name, args);
}

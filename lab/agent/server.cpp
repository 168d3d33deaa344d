#include "server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "command.hpp"
#include "fd.hpp"
#include "protocol.hpp"
#include "tail.hpp"
#include "xen_clock.hpp"

namespace ppvmm::lab {
namespace {

using nlohmann::json;

constexpr const char* kPort = "/dev/vport0p1";

class Server {
 public:
  int run();

 private:
  bool open_all();
  bool wait_for_port();
  void send(const json& message);
  void send_line(std::string_view line);
  bool read_port();
  void read_socket();
  void reap();
  void expire();
  [[nodiscard]] int time_left_ms() const;
  void obey(const json& order);
  void put(std::int64_t id, const json& order);
  void get(std::int64_t id, const std::string& path);

  Fd port_;
  Fd socket_;
  Fd signals_;
  Tail tail_;
  std::string input_;
  std::map<pid_t, Command> commands_;
  Send sender_ = [this](const json& message) { send(message); };
  bool stop_ = false;
};

bool Server::wait_for_port() {
  constexpr int kTries = 200;  // the driver of the port may still be probing: 200 * 10 ms
  for (int i = 0; i < kTries; ++i) {
    port_ = Fd(open(kPort, O_RDWR | O_CLOEXEC));
    if (port_.valid()) {
      return true;
    }
    poll(nullptr, 0, 10);
  }
  return false;
}

bool Server::open_all() {
  if (!wait_for_port()) {
    std::fprintf(stderr, "lab-agent: cannot open %s: %s\n", kPort, std::strerror(errno));
    return false;
  }
  socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid()) {
    return false;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  kSocketPath.copy(address.sun_path, sizeof address.sun_path - 1);
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "lab-agent: cannot bind %s: %s\n", address.sun_path, std::strerror(errno));
    return false;
  }
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, nullptr);
  signals_ = Fd(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  return signals_.valid() && tail_.fd() >= 0;
}

int Server::run() {
  if (!open_all()) {
    return 1;
  }
  if (const auto mark = mark_xen_log()) {
    send({{"k", "xen_mark"}, {"before_ns", mark->before_ns}, {"after_ns", mark->after_ns}});
  }
  send({{"k", "hello"}, {"t", now_ns()}});
  while (!stop_) {
    std::vector<pollfd> waits = {{port_.get(), POLLIN, 0},
                                 {socket_.get(), POLLIN, 0},
                                 {signals_.get(), POLLIN, 0},
                                 {tail_.fd(), POLLIN, 0}};
    for (const auto& [pid, command] : commands_) {
      for (const int pipe : command.pipes()) {
        waits.push_back({pipe, POLLIN, 0});  // poll ignores -1
      }
    }
    if (poll(waits.data(), waits.size(), time_left_ms()) < 0 && errno != EINTR) {
      return 1;
    }
    tail_.drain(sender_);
    read_socket();
    for (auto& [pid, command] : commands_) {
      command.drain(0, sender_);
      command.drain(1, sender_);
    }
    reap();
    expire();
    if ((waits[0].revents & (POLLIN | POLLHUP)) != 0 && !read_port()) {
      return 1;
    }
  }
  return 0;
}

void Server::send(const json& message) {
  send_line(to_line(message));
}

void Server::send_line(std::string_view line) {
  while (!line.empty()) {
    const ssize_t done = write(port_.get(), line.data(), line.size());
    if (done > 0) {
      line.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno != EINTR && errno != EAGAIN) {
      stop_ = true;
      return;
    }
  }
}

bool Server::read_port() {
  std::array<char, 65536> buffer{};
  const ssize_t got = read(port_.get(), buffer.data(), buffer.size());
  if (got <= 0) {
    return got < 0 && errno == EINTR;
  }
  input_.append(buffer.data(), static_cast<std::size_t>(got));
  std::size_t start = 0;
  for (std::size_t end = 0; (end = input_.find('\n', start)) != std::string::npos;
       start = end + 1) {
    const json order =
        json::parse(input_.begin() + static_cast<std::ptrdiff_t>(start),
                    input_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (order.is_object()) {
      obey(order);
    } else {
      send({{"k", "error"}, {"what", "an order that is no JSON object"}});
    }
  }
  input_.erase(0, start);
  return true;
}

void Server::read_socket() {
  static std::array<char, 256UL * 1024> buffer;
  while (true) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      return;
    }
    send_line({buffer.data(), static_cast<std::size_t>(got)});
  }
}

void Server::reap() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) > 0) {
  }
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = commands_.find(pid);
    if (found != commands_.end()) {
      read_socket();  // what the command reported goes out before its end does
      found->second.finish(status, sender_);
      commands_.erase(found);
    }
  }
}

void Server::expire() {
  const std::int64_t now = now_ns();
  for (auto& [pid, command] : commands_) {
    if (command.deadline_ns() != 0 && command.deadline_ns() <= now) {
      command.expire();
    }
  }
}

int Server::time_left_ms() const {
  std::int64_t first = 0;
  for (const auto& [pid, command] : commands_) {
    const std::int64_t deadline = command.deadline_ns();
    if (deadline != 0 && (first == 0 || deadline < first)) {
      first = deadline;
    }
  }
  if (first == 0) {
    return -1;
  }
  return static_cast<int>(std::max<std::int64_t>(0, (first - now_ns()) / 1'000'000 + 1));
}

void Server::obey(const json& order) {
  const std::string what = order.value("op", "");
  const std::int64_t id = order.value("id", std::int64_t{0});
  if (what == "run") {
    auto command =
        Command::start(id, order.value("cmd", ""), order.value("timeout_ms", std::int64_t{0}));
    if (command) {
      commands_.emplace(command->pid(), std::move(*command));
    } else {
      send({{"k", "error"},
            {"id", id},
            {"what", std::string("cannot start: ") + std::strerror(errno)}});
    }
  } else if (what == "put") {
    put(id, order);
  } else if (what == "get") {
    get(id, order.value("path", ""));
  } else if (what == "stop") {
    stop_ = true;
    send({{"k", "done"}, {"id", id}, {"t", now_ns()}});
  } else {
    send({{"k", "error"}, {"id", id}, {"what", "unknown order " + what}});
  }
}

void Server::put(std::int64_t id, const json& order) {
  const std::string path = order.value("path", "");
  const std::string bytes = base64_decode(order.value("d", ""));
  const int flags =
      O_WRONLY | O_CREAT | O_CLOEXEC | (order.value("append", false) ? O_APPEND : O_TRUNC);
  const Fd file(open(path.c_str(), flags, 0644));
  if (!file.valid() ||
      write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    send({{"k", "error"}, {"id", id}, {"what", path + ": " + std::strerror(errno)}});
    return;
  }
  fchmod(file.get(), order.value("mode", 0644U));
  send({{"k", "done"}, {"id", id}, {"t", now_ns()}});
}

void Server::get(std::int64_t id, const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<char> buffer(kFileChunk);
  ssize_t got = file.valid() ? 1 : -1;
  while (got > 0) {
    got = read(file.get(), buffer.data(), buffer.size());
    if (got > 0) {
      send({{"k", "data"},
            {"id", id},
            {"d", base64_encode({buffer.data(), static_cast<std::size_t>(got)})}});
    }
  }
  if (got < 0) {
    send({{"k", "error"}, {"id", id}, {"what", path + ": " + std::strerror(errno)}});
  } else {
    send({{"k", "done"}, {"id", id}, {"t", now_ns()}});
  }
}

}  // namespace

int serve() {
  Server server;
  return server.run();
}

}  // namespace ppvmm::lab

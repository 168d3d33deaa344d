#include "root/daemon/control.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace ppvmm::root::daemon {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLongestLine = 64U << 10U;
constexpr std::size_t kMostClients = 64;
constexpr std::size_t kMostUnsent = 32U << 20U;
constexpr int kAnswerMs = 5000;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return refused(path + " is too long for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<int> connected(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  const int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (line < 0) return failed("make a socket");
  if (connect(line, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const auto problem = failed("reach the daemon at " + path + " (does ppvmm-root run?)");
    close(line);
    return problem;
  }
  return line;
}

}  // namespace

Result<Control> Control::listen(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  const int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (line < 0) return failed("make a socket");
  Control control(line);
  // Whoever held this name before is gone: the caller holds the lock of the state directory.
  unlink(path.c_str());
  if (bind(line, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return failed("bind " + path);
  }
  if (::listen(line, static_cast<int>(kMostClients)) != 0) return failed("listen at " + path);
  return control;
}

Control::~Control() {
  for (const Client& client : clients_)
    close(client.socket);
  if (socket_ >= 0) close(socket_);
}

Control::Control(Control&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), clients_(std::move(other.clients_)) {}

void Control::add_to(std::vector<pollfd>& waited) const {
  waited.push_back({.fd = socket_, .events = POLLIN, .revents = 0});
  for (const Client& client : clients_) {
    const int wanted = POLLIN | (client.said.empty() ? 0 : POLLOUT);
    waited.push_back({.fd = client.socket, .events = static_cast<short>(wanted), .revents = 0});
  }
}

void Control::serve(const Answer& answer) {
  accept_all();
  for (Client& client : clients_) {
    hear(client, answer);
    say(client);
    if (client.gone) close(client.socket);
  }
  std::erase_if(clients_, [](const Client& client) { return client.gone; });
}

void Control::accept_all() {
  while (clients_.size() < kMostClients) {
    const int line = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (line < 0) return;
    clients_.push_back({.socket = line, .heard = {}, .said = {}, .gone = false});
  }
}

void Control::hear(Client& client, const Answer& answer) {
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = read(client.socket, buffer.data(), buffer.size());
    if (got < 0) {
      client.gone = errno != EAGAIN && errno != EINTR;
      break;
    }
    if (got == 0) {
      client.gone = true;
      break;
    }
    client.heard.append(buffer.data(), static_cast<std::size_t>(got));
    if (client.heard.size() > kLongestLine) {
      client.gone = true;
      return;
    }
  }
  std::size_t end = 0;
  while ((end = client.heard.find('\n')) != std::string::npos) {
    const auto question = ordered_json::parse(client.heard.substr(0, end), nullptr, false);
    client.heard.erase(0, end + 1);
    const ordered_json said =
        question.is_object() ? answer(question)
                             : ordered_json{{"ok", false}, {"problem", "that is no JSON object"}};
    client.said += said.dump() + "\n";
  }
  if (client.said.size() > kMostUnsent) client.gone = true;
}

void Control::say(Client& client) {
  while (!client.said.empty() && !client.gone) {
    const ssize_t sent = send(client.socket, client.said.data(), client.said.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      client.gone = errno != EAGAIN && errno != EINTR;
      return;
    }
    client.said.erase(0, static_cast<std::size_t>(sent));
  }
}

Result<ordered_json> ask(const std::string& state_dir, const ordered_json& question) {
  const auto line = connected(state_dir + "/" + kSocketName);
  if (!line) return std::unexpected(line.error());
  const std::string text = question.dump() + "\n";
  std::string answer;
  bool whole =
      send(*line, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  while (whole && answer.find('\n') == std::string::npos) {
    pollfd waited{.fd = *line, .events = POLLIN, .revents = 0};
    std::array<char, 65536> buffer;
    const ssize_t got =
        poll(&waited, 1, kAnswerMs) == 1 ? read(*line, buffer.data(), buffer.size()) : -1;
    whole = got > 0;
    if (whole) answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(*line);
  if (!whole) return refused("the daemon did not answer");
  auto said = ordered_json::parse(answer, nullptr, false);
  if (!said.is_object()) return refused("the daemon's answer is no JSON object");
  if (!said.value("ok", false)) return refused(said.value("problem", "the daemon refused"));
  return said;
}

bool daemon_runs(const std::string& state_dir) {
  const auto line = connected(state_dir + "/" + kSocketName);
  if (!line) return false;
  close(*line);
  return true;
}

}  // namespace ppvmm::root::daemon

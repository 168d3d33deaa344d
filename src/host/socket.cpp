#include "host/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ppvmm::host {
namespace {

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    throw system_failure("socket path '" + text + "'");
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

Fd stream_socket() {
  Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) throw system_failure("making a Unix socket");
  return fd;
}

bool answers(const sockaddr_un& address) {
  const Fd probe = stream_socket();
  // EAGAIN: its backlog is full, so somebody owns it.
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

}  // namespace

std::filesystem::path default_socket_path() {
  if (const char* path = std::getenv("XENSTORED_PATH")) return path;
  const char* directory = std::getenv("XENSTORED_RUNDIR");
  return std::filesystem::path{directory != nullptr ? directory : "/var/run/xenstored"} / "socket";
}

Fd listen_on(const std::filesystem::path& path) {
  const sockaddr_un address = address_of(path);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  if (answers(address)) {
    errno = EADDRINUSE;
    throw system_failure("a server already answers on '" + path.native() + "'");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw system_failure("removing the stale socket '" + path.native() + "'");
  }
  Fd fd = stream_socket();
  // The mode is set by the umask, not by a later chmod: at no moment can others connect.
  const mode_t old_mask = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(old_mask);
  if (bound != 0) throw system_failure("binding '" + path.native() + "'");
  if (::listen(fd.get(), SOMAXCONN) != 0)
    throw system_failure("listening on '" + path.native() + "'");
  return fd;
}

}  // namespace ppvmm::host

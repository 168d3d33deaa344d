// The few paths and limits that the daemons fix at build time, led to the machine's directory, so
// that they need neither root nor a place in /proc and /var/run. Everything else goes to libc.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "peers/fakexen/xen.hpp"

namespace {

using ppvmm::peers::Xen;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// Where a fixed path really leads; empty: as it stands.
std::string led(const char* path) {
  const std::string_view view = path;
  if (view == "/proc/xen/xsd_kva") return Xen::get().file("ring-0");
  if (view == "/proc/xen/xsd_port") return Xen::get().file("xsd_port");
  constexpr std::string_view kRun = "/var/run/xenstored";
  if (!view.starts_with(kRun)) return {};
  if (view == "/var/run/xenstored/socket")
    if (const char* socket = std::getenv("FAKEXEN_SOCKET")) return socket;
  return Xen::get().file("run") + std::string(view.substr(kRun.size()));
}

int open_led(const char* function, const char* path, int flags, mode_t mode) {
  const std::string place = led(path);
  using Open = int(const char*, int, ...);
  static Open* const open32 = next<Open>("open");
  static Open* const open64 = next<Open>("open64");
  Open* const real = std::string_view(function) == "open64" ? open64 : open32;
  return real(place.empty() ? path : place.c_str(), flags, mode);
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_led("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_led("open64", path, flags, mode);
}

int unlink(const char* path) noexcept {
  const std::string place = led(path);
  static auto* const real = next<int(const char*)>("unlink");
  return real(place.empty() ? path : place.c_str());
}

int mkdir(const char* path, mode_t mode) noexcept {
  const std::string place = led(path);
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return real(place.empty() ? path : place.c_str(), mode);
}

int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  static auto* const real = next<int(int, const sockaddr*, socklen_t)>("bind");
  if (address->sa_family != AF_UNIX) return real(fd, address, length);
  sockaddr_un local{};
  std::memcpy(&local, address, std::min<std::size_t>(length, sizeof local - 1));
  const std::string place = led(local.sun_path);
  if (place.empty()) return real(fd, address, length);
  if (place.size() >= sizeof local.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(local.sun_path, place.c_str(), place.size() + 1);
  return real(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local);
}

/// Clients can connect from here on: whoever waits for that holds the other end of a pipe.
int listen(int fd, int backlog) noexcept {
  static auto* const real = next<int(int, int)>("listen");
  const int result = real(fd, backlog);
  if (const char* ready = std::getenv("FAKEXEN_READY_FD"); ready != nullptr && result == 0) {
    const int pipe_end = std::atoi(ready);
    [[maybe_unused]] const auto written = write(pipe_end, "1", 1);
    close(pipe_end);
    unsetenv("FAKEXEN_READY_FD");
  }
  return result;
}

/// oxenstored wants the kernel's largest descriptor limit, which only root may set, and ends
/// itself when refused. It gets the largest this process may have.
int setrlimit(__rlimit_resource_t resource, const rlimit* limit) noexcept {
  static auto* const real = next<int(__rlimit_resource_t, const rlimit*)>("setrlimit");
  if (real(resource, limit) == 0) return 0;
  rlimit now{};
  if (resource != RLIMIT_NOFILE || getrlimit(RLIMIT_NOFILE, &now) != 0) return -1;
  now.rlim_cur = now.rlim_max;
  return real(RLIMIT_NOFILE, &now);
}

}  // extern "C"

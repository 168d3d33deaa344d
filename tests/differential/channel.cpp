#include "differential/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>

#include "store/ring.hpp"

namespace ppvmm::differential {
namespace {

/// True when `fd` is ready for `events` before the deadline.
bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<long>(0, left.count())));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
  }
}

}  // namespace

std::unique_ptr<SocketChannel> SocketChannel::connect(const std::filesystem::path& path) {
  peers::Fd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return nullptr;
  return std::unique_ptr<SocketChannel>{new SocketChannel{std::move(fd)}};
}

Transfer SocketChannel::send(std::string_view bytes, std::string&, Deadline deadline) {
  while (!bytes.empty()) {
    if (!wait_for(fd_.get(), POLLOUT, deadline)) return Transfer::timeout;
    const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Transfer::closed;
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Transfer::done;
}

Transfer SocketChannel::receive(std::string& received, Deadline deadline) {
  if (!wait_for(fd_.get(), POLLIN, deadline)) return Transfer::timeout;
  std::array<char, 8192> bytes;
  const auto got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
  if (got <= 0) return Transfer::closed;
  received.append(bytes.data(), static_cast<std::size_t>(got));
  return Transfer::done;
}

bool RingChannel::drain(std::string& received) {
  store::ClientRing ring{host_.ring(domid_)};
  bool any = false;
  std::array<std::byte, store::kRingBytes> bytes;
  for (;;) {
    const auto got = ring.responses.peek(bytes);
    if (!got || *got == 0) break;
    received.append(reinterpret_cast<const char*>(bytes.data()), *got);
    ring.responses.consume(*got);
    any = true;
  }
  if (any) host_.notify(domid_);
  return any;
}

Transfer RingChannel::send(std::string_view bytes, std::string& received, Deadline deadline) {
  store::ClientRing ring{host_.ring(domid_)};
  for (;;) {
    host_.absorb(domid_);
    const auto written = ring.requests.write(std::as_bytes(std::span{bytes}));
    if (!written) return Transfer::closed;
    if (*written != 0) {
      bytes.remove_prefix(*written);
      host_.notify(domid_);
    }
    if (bytes.empty()) return Transfer::done;
    if (drain(received) || *written != 0) continue;
    if (!wait_for(host_.event_fd(domid_), POLLIN, deadline)) return Transfer::timeout;
  }
}

Transfer RingChannel::receive(std::string& received, Deadline deadline) {
  for (;;) {
    host_.absorb(domid_);
    if (drain(received)) return Transfer::done;
    if (!wait_for(host_.event_fd(domid_), POLLIN, deadline)) return Transfer::timeout;
  }
}

}  // namespace ppvmm::differential

#include "root/events.hpp"

#include <poll.h>

#include <utility>

#include "root/xen_headers.hpp"

namespace ppvmm::root {

Result<Events> Events::open() {
  Events events;
  events.handle_ = xenevtchn_open(nullptr, 0);
  if (events.handle_ == nullptr) return failed("open /dev/xen/evtchn");
  return events;
}

Events::~Events() {
  if (handle_ != nullptr) xenevtchn_close(handle_);
}

Events::Events(Events&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Events& Events::operator=(Events&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Result<Events::Port> Events::bind(DomId domid, std::uint32_t remote_port) {
  const auto port = xenevtchn_bind_interdomain(handle_, domid, remote_port);
  if (port < 0) {
    return failed("bind port " + std::to_string(remote_port) + " of domain " +
                  std::to_string(domid));
  }
  return static_cast<Port>(port);
}

Result<Events::Port> Events::bind_domain_exceptions() {
  const auto port = xenevtchn_bind_virq(handle_, VIRQ_DOM_EXC);
  if (port < 0) return failed("bind VIRQ_DOM_EXC");
  return static_cast<Port>(port);
}

Result<void> Events::notify(Port port) {
  if (xenevtchn_notify(handle_, port) != 0) {
    return failed("notify port " + std::to_string(port));
  }
  return {};
}

void Events::unbind(Port port) {
  static_cast<void>(xenevtchn_unbind(handle_, port));
}

int Events::descriptor() const {
  return xenevtchn_fd(handle_);
}

Result<std::optional<Events::Port>> Events::wait(std::chrono::milliseconds limit) {
  pollfd waited{.fd = xenevtchn_fd(handle_), .events = POLLIN, .revents = 0};
  const int ready = poll(&waited, 1, static_cast<int>(limit.count()));
  if (ready < 0) {
    if (errno == EINTR) return std::nullopt;
    return failed("wait for events");
  }
  if (ready == 0) return std::nullopt;
  const auto port = xenevtchn_pending(handle_);
  if (port < 0) return failed("read the port that fired");
  // Unmasked before the caller looks at the cause, so that nothing between the two is missed.
  if (xenevtchn_unmask(handle_, static_cast<Port>(port)) != 0) return failed("unmask a port");
  return static_cast<Port>(port);
}

Result<std::optional<Events::Port>> Events::take() {
  pollfd waited{.fd = xenevtchn_fd(handle_), .events = POLLIN, .revents = 0};
  if (poll(&waited, 1, 0) <= 0) return std::nullopt;
  const auto port = xenevtchn_pending(handle_);
  if (port < 0) return failed("read the port that fired");
  return static_cast<Port>(port);
}

void Events::listen(Port port) {
  // Fails for a port that is not ours any more, which nobody listens to.
  static_cast<void>(xenevtchn_unmask(handle_, port));
}

}  // namespace ppvmm::root

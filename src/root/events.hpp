/// Event channels of dom0: waiting for a unikernel to say something, and waking it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "root/failure.hpp"
#include "root/xen.hpp"

struct xenevtchn_handle;

namespace ppvmm::root {

/// A set of local ports on one handle. Ports close with the object; their far ends then wait for
/// another dom0 process to bind them again.
class Events {
 public:
  using Port = std::uint32_t;

  [[nodiscard]] static Result<Events> open();
  ~Events();
  Events(Events&& other) noexcept;
  Events& operator=(Events&& other) noexcept;

  /// Binds to a port that `domid` keeps for dom0.
  [[nodiscard]] Result<Port> bind(DomId domid, std::uint32_t remote_port);
  /// Binds VIRQ_DOM_EXC: some domain shut down or died. Only one holder per host.
  [[nodiscard]] Result<Port> bind_domain_exceptions();
  [[nodiscard]] Result<void> notify(Port port);
  void unbind(Port port);
  /// Readable when a port has fired: for a caller that waits for more than events.
  [[nodiscard]] int descriptor() const;
  /// The next port that fired, or nothing after `limit`. It may fire again at once.
  [[nodiscard]] Result<std::optional<Port>> wait(std::chrono::milliseconds limit);
  /// The next port that fired, if one did. It fires again only after listen().
  [[nodiscard]] Result<std::optional<Port>> take();
  void listen(Port port);

 private:
  Events() = default;
  xenevtchn_handle* handle_{};
};

}  // namespace ppvmm::root

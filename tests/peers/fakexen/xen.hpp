/// The stand-in hypervisor as seen from inside the daemon's process.
#pragma once

#include <cstdint>
#include <string>

#include "peers/fakexen/layout.hpp"

namespace ppvmm::peers {

class Xen {
 public:
  /// Opens the machine named by FAKEXEN_DIR at first use; ends the process with a message when
  /// there is none, because a daemon without its hypervisor cannot run.
  static Xen& get();

  /// Path of a file of the machine.
  [[nodiscard]] std::string file(const char* name) const { return directory_ + "/" + name; }

  /// The domain, or nullptr when it does not exist.
  [[nodiscard]] Domain* domain(std::uint32_t domid);

  /// Maps a domain's ring page; nullptr with errno set when it has none.
  [[nodiscard]] void* map_ring(std::uint32_t domid);

  /// The daemon's event channel functions; -1 with errno set on failure, as in libxenevtchn.
  [[nodiscard]] int bind_interdomain(std::uint32_t domid, std::uint32_t remote_port);
  [[nodiscard]] int bind_virq(std::uint32_t virq);
  [[nodiscard]] int unbind(std::uint32_t port);
  [[nodiscard]] int notify(std::uint32_t port);
  [[nodiscard]] int pending();
  [[nodiscard]] int unmask(std::uint32_t port);
  [[nodiscard]] int event_fd() const { return up_; }

 private:
  Xen();
  [[nodiscard]] Port* bound(std::uint32_t port);
  [[nodiscard]] int allocate(Port::Kind kind, std::uint32_t peer);

  std::string directory_;
  Machine* machine_{};
  int up_{-1};
  int down_[kPorts];
};

}  // namespace ppvmm::peers

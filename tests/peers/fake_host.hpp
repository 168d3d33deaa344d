/// The harness's side of the stand-in hypervisor: makes the machine that a daemon started with
/// libfakexen.so finds, creates and ends its domains, and carries their events.
///
/// Operating-system errors are thrown as std::system_error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>

#include "peers/fakexen/layout.hpp"
#include "peers/fd.hpp"

struct xenstore_domain_interface;

namespace ppvmm::peers {

class FakeHost {
 public:
  /// Makes a machine with domain 0 in a new directory under the system's temporary directory.
  FakeHost();
  /// Unmaps and removes the directory. Daemons must have ended before.
  ~FakeHost();
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

  /// Makes domain `domid` (1 .. 0x7FEF) with a zeroed ring page and one unbound port, whose number
  /// is returned: what a toolstack passes to INTRODUCE. The domid must be free.
  std::uint32_t create(std::uint32_t domid);
  /// The domain allocates another unbound port; the old one can no longer be bound.
  std::uint32_t offer_new_port(std::uint32_t domid);
  /// The domain has shut down (with a crash, if so) but still exists. Fires VIRQ_DOM_EXC.
  void shut_down(std::uint32_t domid, bool crash);
  /// A shut-down domain runs again, as after a cancelled suspend.
  void resume(std::uint32_t domid);
  /// The domain is gone. Fires VIRQ_DOM_EXC.
  void destroy(std::uint32_t domid);
  [[nodiscard]] bool exists(std::uint32_t domid) const;
  /// The port that INTRODUCE is to name now.
  [[nodiscard]] std::uint32_t offered_port(std::uint32_t domid) const;
  /// The daemon has not yet finished with a VIRQ_DOM_EXC.
  [[nodiscard]] bool dom_exc_pending() const;

  /// The domain's ring page; valid until the domain is destroyed.
  [[nodiscard]] xenstore_domain_interface& ring(std::uint32_t domid) const;
  /// The domain signals the daemon. Dropped while nothing is bound, as by Xen.
  void notify(std::uint32_t domid);
  /// Readable when the daemon has signalled the domain; absorb() empties it.
  [[nodiscard]] int event_fd(std::uint32_t domid) const;
  void absorb(std::uint32_t domid) const;

 private:
  struct Guest {
    void* page{};
    Fd events;
  };
  void make_guest(std::uint32_t domid);
  void raise_dom_exc();
  [[nodiscard]] std::uint32_t dom_exc_port() const;

  std::filesystem::path directory_;
  Machine* machine_{};
  Fd up_;
  std::map<std::uint32_t, Guest> guests_;
};

}  // namespace ppvmm::peers

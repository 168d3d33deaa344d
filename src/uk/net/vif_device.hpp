/// One vif's life: what XenStore says about it, played to its front-end and to the tool stack.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernel/console.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "net/netback/handshake.hpp"
#include "uk/net/adoption_gate.hpp"
#include "uk/net/connection.hpp"
#include "uk/net/plumbing.hpp"
#include "xenbus/device.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::netuk {

/// How vifs are treated, from the command line.
struct Policy {
  bool antispoof{};
};

class VifDevice {
 public:
  /// `path`: the back-end's directory, relative to the domain's own.
  VifDevice(Plumbing& plumbing, xenbus::Store& store, const Policy& policy, AdoptionGate& gate,
            std::uint16_t domid, std::uint16_t handle);
  VifDevice(const VifDevice&) = delete;
  VifDevice& operator=(const VifDevice&) = delete;

  [[nodiscard]] std::uint16_t domid() const { return domid_; }
  [[nodiscard]] std::uint16_t handle() const { return handle_; }
  /// Its connection was taken over from an earlier life before XenStore was asked.
  void inherit(std::unique_ptr<Connection> connection) { connection_ = std::move(connection); }
  [[nodiscard]] bool holds(const Connection& connection) const {
    return connection_.get() == &connection;
  }

  /// XenStore changed below its directory.
  void poke();
  /// Its front-end broke the protocol.
  void offended(net::Hostile reason);
  /// Gone for good: to be destroyed.
  [[nodiscard]] bool over() const { return over_; }

 private:
  kernel::task::Task<> live();
  kernel::task::Task<> follow_frontend();
  kernel::task::Task<net::BusView> look();
  kernel::task::Task<bool> carry_out(net::BusStep step);
  kernel::task::Task<bool> write_features();
  kernel::task::Task<bool> advertise();
  kernel::task::Task<bool> connect(bool announce);
  kernel::task::Task<bool> set_state(xenbus::State state);
  kernel::task::Task<std::optional<net::VifSettings>> read_settings();
  kernel::task::Task<std::optional<std::vector<QueueOffer>>> read_offers();
  kernel::task::Task<std::optional<QueueOffer>> read_offer(std::string where);
  kernel::task::Task<> read_rate();
  void leave(std::string_view why);
  void refuse(kernel::Level level, std::string_view why);
  static void on_deadline(void* self);

  Plumbing* plumbing_;
  xenbus::Store* store_;
  const Policy* policy_;
  AdoptionGate* gate_;
  AdoptionGate::Ticket ticket_;
  std::uint16_t domid_;
  std::uint16_t handle_;
  std::string path_;
  std::string frontend_;  ///< Its directory; empty until known.
  bool moved_{};          ///< Root made it: see net::BusView.
  net::Handshake handshake_;
  std::unique_ptr<Connection> connection_;
  bool changed_{true};
  bool over_{};
  unsigned attempts_{};  ///< Failed in a row.
  kernel::task::Signal signal_;
  kernel::Timer timer_;
  std::optional<kernel::task::TaskRoot> follower_;
  kernel::task::TaskRoot task_;  // last: it uses all of the above
};

}  // namespace ppvmm::netuk

/// What the parts of net_uk share: netback (the data path), and the pump that runs it.
///
/// Netback is a sub-component with a probe and a repair of its own. Every call into it is contained
/// (kernel/contain.hpp): a trap, a panic or an endless loop ends the call. While it works it is
/// audited every kAuditNs (DataPath::audit()). In both cases it is thrown away as it is and made
/// anew: over the guests' rings, from the vifs' records, while the driver goes on with what it has.
/// What was not answered is read from the rings again; what came from the wire and was not
/// delivered is found by the pool's notes. A vif that alone is wrong is alone made anew, and so is
/// one whose front-end seems hostile: it is disconnected when it seems so again, and code and
/// constants are what was built.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "abi/net_uk.hpp"
#include "kernel/contain.hpp"
#include "kernel/events.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "kernel/vitals.hpp"
#include "net/device/pool.hpp"
#include "net/netback/data_path.hpp"
#include "net/netback/vif_record.hpp"
#include "uk/net/kept.hpp"
#include "uk/net/xen_copier.hpp"

namespace ppvmm::netuk {

class Connection;

/// Hears of a vif that broke the protocol.
class OffenceListener {
 public:
  virtual void offended(Connection& connection, net::Hostile reason) = 0;

 protected:
  ~OffenceListener() = default;
};

class Plumbing final : private net::NicClient {
 public:
  /// Between two audits while there is work; after the last work there is one more.
  static constexpr kernel::Nanoseconds kAuditNs = 8'000'000;
  /// What netback takes of the pool is marked with this.
  static constexpr std::uint8_t kOwner = 2;

  struct Statistics {
    std::uint64_t rebuilds{};      ///< Of netback as a whole.
    std::uint64_t vif_rebuilds{};  ///< Of single vifs.
    std::uint64_t audits{};
  };

  /// Panics when there is no memory for so many buffers.
  explicit Plumbing(std::size_t buffers);
  Plumbing(const Plumbing&) = delete;
  Plumbing& operator=(const Plumbing&) = delete;

  /// For looking only: what changes it goes through the functions below.
  [[nodiscard]] const net::DataPath& path() const { return *path_; }
  [[nodiscard]] net::BufferPool& pool() { return memory_->pool(); }
  [[nodiscard]] std::span<net::VifRecord, net::kVifRecords> records() { return records_; }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

  /// There is work: the next turn of the loop makes a pass.
  void wake();
  /// A guest's event.
  void kick(net::PortId port, std::uint8_t queue);
  /// Makes passes for ever. To be run as a task.
  [[nodiscard]] kernel::task::Task<> pump();

  /// Connects a vif (DataPath::add_vif).
  [[nodiscard]] std::optional<net::PortId> join(net::VifSettings settings,
                                                std::span<const net::QueuePages> pages);
  /// The same from within netback, for one that had joined an earlier one.
  [[nodiscard]] std::optional<net::PortId> rejoin(net::VifSettings settings,
                                                  std::span<const net::QueuePages> pages,
                                                  Connection& connection);
  void joined(net::PortId port, Connection& connection) { connections_[port] = &connection; }
  void leave(net::PortId port);
  void set_rate(net::PortId port, std::optional<net::RateLimit> rate);

  /// Whom the card's driver tells.
  [[nodiscard]] net::NicClient& client() { return *this; }
  /// The card from now on; null: none at the moment (DataPath::set_nic).
  void set_nic(net::Nic* nic);
  /// A card will come: until then what guests send to the wire waits for it
  /// (DataPath::expect_wire).
  void expect_wire();
  /// It does not come: what waits is dropped, as on a link that stays down.
  void give_up_wire();

  /// Makes netback anew over the rings, as after a fault.
  void restart_netback();

  /// Called after each pass.
  using Watcher = void (*)(void* context);
  void set_watcher(Watcher watcher, void* context) {
    watcher_ = watcher;
    watcher_context_ = context;
  }
  void set_offence_listener(OffenceListener* listener) { listener_ = listener; }

 private:
  // NicClient: from within a pass.
  void received(net::Frame frame) override {
    kernel::step();
    path_->received(std::move(frame));
  }
  void sent(net::Frame frame) override {
    kernel::step();
    path_->sent(std::move(frame));
  }
  void room() override { path_->room(); }
  void link_changed(net::NicLink link) override { path_->link_changed(link); }

  /// Calls into netback; false if it died of it, and is made anew.
  template <typename Code>
  bool guard(Code&& code) {
    const std::uint8_t outside = pool().enter(kOwner);
    const bool alive = kernel::contain(component_, code);
    pool().enter(outside);
    if (!alive) died();
    return alive;
  }
  [[nodiscard]] bool pass();
  void tell();
  void arm_timer(std::optional<kernel::Nanoseconds> due);
  static void on_deadline(void* self);

  // rebuild.cpp
  static void on_audit(void* self);
  void audit();
  void make_path();
  void died();
  void rebuild(abi::net_uk::Trouble trouble, std::string_view why);
  enum class Accuser : std::uint8_t { pass, audit };
  void judge(std::span<const net::Offence> offences, Accuser accuser);
  void blame(Connection& connection, net::Hostile reason);
  /// Makes one vif anew. False if its rings do not allow it. Netback is another one if it died.
  [[nodiscard]] bool rebuild_vif(Connection& connection, std::string_view why);
  [[nodiscard]] bool dies_too_often(kernel::Nanoseconds now);

  std::unique_ptr<net::device::DevicePool> memory_;
  XenCopier copier_;
  /// Where netback lies: a new one takes the place of one that is not destroyed.
  alignas(net::DataPath) std::array<std::byte, sizeof(net::DataPath)> room_;
  net::DataPath* path_{};
  net::DataPath::Limits limits_;
  net::Nic* nic_{};
  bool wire_expected_{};
  std::span<net::VifRecord, net::kVifRecords> records_;
  std::array<Connection*, net::kPortsMax> connections_{};
  std::array<std::uint8_t, net::kPortsMax> kicked_{};  ///< By port: bits of its queues.
  std::uint64_t kicked_ports_{};                       ///< Bits of those that have any.
  OffenceListener* listener_{};
  Watcher watcher_{};
  void* watcher_context_{};
  kernel::task::Signal work_;
  bool pending_{};
  kernel::Timer timer_;
  kernel::Timer audit_timer_;
  std::uint64_t passes_seen_{};  ///< By the last audit.
  std::uint64_t passes_{};
  std::vector<net::Notification> owed_;
  std::vector<net::Offence> offences_;
  kernel::Nanoseconds deaths_since_{};
  unsigned deaths_{};
  std::uint64_t last_rip_{};
  Statistics statistics_;
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::netuk

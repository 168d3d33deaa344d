/// A connected vif as the image holds it: its rings mapped, its ports bound, and its place in the
/// data path.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "abi/xen.hpp"
#include "kernel/grants.hpp"
#include "net/netback/accusations.hpp"
#include "net/netback/vif_record.hpp"
#include "uk/net/plumbing.hpp"

namespace ppvmm::netuk {

/// What the front-end offers for one queue.
struct QueueOffer {
  abi::GrantRef tx_ring{};
  abi::GrantRef rx_ring{};
  abi::Port tx_port{};
  abi::Port rx_port{};  ///< Equal to tx_port: one port for both.
};

class Connection {
 public:
  /// Maps, binds, and joins the data path. Keeps everything over microreboots; what an earlier life
  /// kept for the same record is used instead.
  [[nodiscard]] static std::expected<std::unique_ptr<Connection>, std::string_view> open(
      Plumbing& plumbing, net::VifSettings settings, std::span<const QueueOffer> offers);
  /// Takes over what an earlier life kept under record `slot`, without asking anybody. Null if it
  /// is not all there; what is left of it is let go of.
  [[nodiscard]] static std::unique_ptr<Connection> adopt(Plumbing& plumbing, std::size_t slot);

  /// After all adoptions: lets go of what earlier lives kept for vifs that are no more, since they
  /// died while they let go of it.
  static void release_orphans(std::span<const net::VifRecord> records);

  /// Leaves the data path and lets go of everything for good.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] net::PortId port() const { return port_; }
  [[nodiscard]] abi::DomId domid() const { return domid_; }
  [[nodiscard]] std::uint16_t handle() const { return handle_; }
  /// Joins the data path again, which is a new one, by what its record says. False if its rings
  /// are impossible. Panics if the record is damaged: the next life asks XenStore. Called from
  /// within netback (contained).
  [[nodiscard]] bool rejoin();
  [[nodiscard]] net::Accusations& accusations() { return accusations_; }
  /// Limits what the guest sends, from now on and for heirs.
  void set_rate(std::optional<net::RateLimit> rate);
  /// Carries out what the data path owes the guest.
  void notify(const net::Notification& owed);

 private:
  struct Line {
    Connection* connection{};
    std::uint8_t queue{};
    kernel::grants::Mapping tx;
    kernel::grants::Mapping rx;
    abi::Port tx_port{};
    abi::Port rx_port{};
  };

  Connection(Plumbing& plumbing, std::size_t slot, abi::DomId domid, std::uint16_t handle)
      : plumbing_(&plumbing), slot_(slot), domid_(domid), handle_(handle) {}
  [[nodiscard]] bool open_line(std::uint8_t queue, const QueueOffer& offer);
  [[nodiscard]] bool adopt_line(std::uint8_t queue, bool split);
  [[nodiscard]] bool join(net::VifSettings settings);
  [[nodiscard]] std::vector<net::QueuePages> pages() const;
  [[nodiscard]] std::uint32_t tag(std::uint8_t queue, std::uint32_t what) const;
  static void on_event(void* line, abi::Port port);

  Plumbing* plumbing_;
  std::size_t slot_;  ///< Of its record.
  abi::DomId domid_;
  std::uint16_t handle_;
  std::optional<net::PortId> joined_;
  net::PortId port_{};
  net::Accusations accusations_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace ppvmm::netuk

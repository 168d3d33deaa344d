/// What the parts of net_uk share: the data path and the pump that runs it.
#pragma once

#include <array>
#include <memory>
#include <span>

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

class Plumbing {
 public:
  /// Panics when there is no memory for so many buffers.
  explicit Plumbing(std::size_t buffers);
  Plumbing(const Plumbing&) = delete;
  Plumbing& operator=(const Plumbing&) = delete;

  [[nodiscard]] net::DataPath& path() { return path_; }
  [[nodiscard]] net::BufferPool& pool() { return memory_->pool(); }
  [[nodiscard]] std::span<net::VifRecord, net::kVifRecords> records() { return records_; }

  /// There is work: the next turn of the loop makes a pass.
  void wake();
  /// A guest's event.
  void kick(net::PortId port, std::uint8_t queue);
  /// Makes passes for ever. To be run as a task.
  [[nodiscard]] kernel::task::Task<> pump();

  void joined(net::PortId port, Connection& connection) { connections_[port] = &connection; }
  void left(net::PortId port) { connections_[port] = nullptr; }
  /// Called after each pass.
  using Watcher = void (*)(void* context);
  void set_watcher(Watcher watcher, void* context) {
    watcher_ = watcher;
    watcher_context_ = context;
  }
  void set_offence_listener(OffenceListener* listener) { listener_ = listener; }

 private:
  static void on_deadline(void* self);
  void tell();
  void arm_timer();

  std::unique_ptr<net::device::DevicePool> memory_;
  XenCopier copier_;
  net::DataPath path_;
  std::span<net::VifRecord, net::kVifRecords> records_;
  std::array<Connection*, net::kPortsMax> connections_{};
  OffenceListener* listener_{};
  Watcher watcher_{};
  void* watcher_context_{};
  kernel::task::Signal work_;
  bool pending_{};
  kernel::Timer timer_;
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::netuk

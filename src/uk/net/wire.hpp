/// The card and its driver, as one component with its own probe and its own repair.
///
/// Probe: while frames are with the driver, its health is looked at every kLookNs; two looks in a
/// row without progress are a hang. Repair: the driver is restarted over the same device, link
/// kept; what the shadow holds is sent again. A driver that cannot be restarted is thrown away and
/// made anew; a device that stays away is tried again, ever more slowly, while frames are held.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "kernel/contain.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "kernel/vitals.hpp"
#include "net/device/assigned_nic.hpp"
#include "pci/frontend.hpp"
#include "uk/net/plumbing.hpp"
#include "uk/net/root_link.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::netuk {

class Wire final : private pci::Frontend::Listener {
 public:
  static constexpr kernel::Nanoseconds kLookNs = 6'000'000;

  Wire(Plumbing& plumbing, xenbus::Store& store);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// An earlier life had a card: it may still write into our buffers, so nobody may use them before
  /// open() is done.
  [[nodiscard]] static bool had_card();
  /// Learns from XenStore whether there will be a card. No vif is served before that is known: what
  /// a guest sends to the wire would be flooded to nobody and answered as sent.
  [[nodiscard]] kernel::task::Task<> expect();
  /// Finds the card and starts it; without one it is done at once. `announce` is called when
  /// buffers may be used.
  [[nodiscard]] kernel::task::Task<> open(void (*announce)(void*), void* context);

  /// Restarts the driver, as after a fault; false without a card.
  bool restart_driver();

  // Drills: faults done to the driver and the device behind their backs.
  /// Overwrites the driver's own memory.
  void damage_driver();
  /// Stops the card's transmitter (82574L).
  void stick_transmitter();

 private:
  pci::Recovery error(const pci::Notice& notice) override;
  void removed(const pci::Device& device) override;
  void added(const pci::Device& device) override;

  kernel::task::Task<bool> start_card();
  void repair(abi::net_uk::Trouble trouble, std::string_view why);
  [[nodiscard]] bool restart();
  /// A driver that dies again and again, each time a new one, or twice in a row at the same place,
  /// does not die of its memory.
  [[nodiscard]] bool dies_too_often(kernel::Nanoseconds now);
  void look();
  static void on_look(void* self);
  static void on_pass(void* self);
  static void on_interrupt(void* self);

  Plumbing* plumbing_;
  xenbus::Store* store_;
  std::unique_ptr<pci::Frontend> frontend_;
  std::unique_ptr<net::device::AssignedNic> card_;
  std::optional<kernel::task::TaskRoot> follower_;
  kernel::Timer look_;
  std::optional<net::NicHealth> before_;
  unsigned silent_looks_{};
  unsigned stuck_in_a_row_{};  ///< Restarts since all that it held was sent.
  kernel::Nanoseconds retry_ns_{};
  std::uint64_t repairs_{};
  kernel::Nanoseconds deaths_since_{};
  unsigned deaths_{};
  kernel::ContainedFault last_death_{};
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::netuk

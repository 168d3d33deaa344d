/// A driver in containment (kernel/contain.hpp): to the rest of net_uk a `Nic` like any other,
/// except that it may die without anybody dying with it.
///
/// Every call into the driver is contained. What it has to tell while it polls is kept until the
/// call is over, so that none of its client's code ever runs inside. When the driver traps, panics
/// or finds its own memory damaged, the call ends: transmit() has then accepted the frame (and lost
/// it: whoever must not lose frames keeps a share of each, as the shadow does), and health() says
/// `device_error`. restart() throws the dead driver away, takes back what it held of the pool, and
/// makes a new one over the same device; settings are brought back; `unsent` stays empty.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernel/contain.hpp"
#include "kernel/vitals.hpp"
#include "net/nic/drivers.hpp"

namespace ppvmm::net::device {

class ContainedNic final : public Nic, private NicClient {
 public:
  /// What the driver takes of the pool is marked with this (BufferPool::enter).
  static constexpr std::uint8_t kOwner = 1;

  /// `resources.client` is told of what the driver tells. The driver is made, not started.
  [[nodiscard]] static std::expected<std::unique_ptr<ContainedNic>, NicError> create(
      const nic::Driver& driver, const nic::Resources& resources,
      kernel::vitals::Component component);
  ~ContainedNic() override;

  [[nodiscard]] std::string_view name() const override { return driver_->name; }
  [[nodiscard]] NicFeatures features() const override { return features_; }
  [[nodiscard]] MacAddress mac() const override { return mac_; }
  [[nodiscard]] std::expected<void, NicError> start() override;
  std::expected<void, NicError> stop(std::vector<Frame>& unsent) override;
  [[nodiscard]] std::expected<void, NicError> restart(std::vector<Frame>& unsent) override;
  [[nodiscard]] TransmitResult transmit(Frame&& frame) override;
  void flush() override;
  [[nodiscard]] bool on_interrupt() override;
  std::size_t poll(std::size_t budget) override;
  [[nodiscard]] NicLink link() const override { return link_; }
  void set_promiscuous(bool on) override;
  void set_multicast(std::span<const MacAddress> groups) override;
  [[nodiscard]] bool set_mtu(std::uint16_t mtu) override;
  /// Of all drivers so far; what a dead one counted since the last call is lost.
  [[nodiscard]] NicStatistics statistics() override;
  [[nodiscard]] NicHealth health() override;

  /// The driver died and was not replaced yet: only restart(), start() and stop() do anything.
  [[nodiscard]] bool dead() const { return dead_; }
  /// Drivers that died here.
  [[nodiscard]] std::uint64_t deaths() const { return deaths_; }
  /// The driver's own memory, for tests that damage it.
  [[nodiscard]] void* driver_memory() { return nic_.get(); }
  /// Throws the driver away, dead or not, without running any of its code, and makes a new one:
  /// made, not started.
  [[nodiscard]] std::expected<void, NicError> replace();

 private:
  /// Received frames kept at most: more than one poll's budget.
  static constexpr std::size_t kKept = 256;
  /// Ticks that may come while the device is reset: it is waited for, not longer than 80 ms.
  static constexpr unsigned kResetPatience = 50;

  ContainedNic(const nic::Driver& driver, const nic::Resources& resources,
               kernel::vitals::Component component);

  // NicClient, from within the driver.
  void received(Frame frame) override { received_.push_back(std::move(frame)); }
  void sent(Frame frame) override { sent_.push_back(std::move(frame)); }
  void room() override { room_owed_ = true; }
  void link_changed(NicLink) override { link_changed_ = true; }

  /// Calls into the driver; false if it is dead, or died of it.
  template <typename Code>
  bool run(Code&& code, unsigned patience = kernel::kPatience);
  void take_back(std::span<const Frame> frames);
  [[nodiscard]] std::expected<void, NicError> make();
  [[nodiscard]] std::expected<void, NicError> begin_anew();
  void tell();

  const nic::Driver* driver_;
  nic::Resources resources_;
  NicClient* client_;
  kernel::vitals::Component component_;
  std::unique_ptr<Nic> nic_;
  bool dead_{};
  std::uint64_t deaths_{};

  NicFeatures features_{};
  MacAddress mac_{};
  NicLink link_{};
  bool promiscuous_{};
  std::vector<MacAddress> groups_;
  std::uint16_t mtu_{1500};

  std::vector<Frame> received_;
  std::vector<Frame> sent_;
  bool room_owed_{};
  bool link_changed_{};
  NicStatistics before_{};  ///< Of drivers that are gone.
  NicStatistics seen_{};    ///< Of this one, when it was last asked.
};

}  // namespace ppvmm::net::device

/// In a domain that was built anew, the vifs that its predecessor served come back together. While
/// only some of them are connected, what their guests send to the others finds nobody and is lost.
#pragma once

#include <cstdint>
#include <utility>

#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/timers.hpp"

namespace ppvmm::netuk {

/// Whoever may have a vif to take over holds a ticket until its rings are ready to be connected, or
/// it is known that there are none. Then all go on at once.
class AdoptionGate {
 public:
  /// Nobody waits longer: a vif whose XenStore entries are slow is not worth the others' service.
  static constexpr kernel::Nanoseconds kLimitNs = 100'000'000;

  class Ticket {
   public:
    Ticket() = default;
    explicit Ticket(AdoptionGate& gate) : gate_(&gate) { ++gate.tickets_; }
    ~Ticket() { give_back(); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    void give_back() {
      if (AdoptionGate* const gate = std::exchange(gate_, nullptr); gate != nullptr) {
        gate->returned();
      }
    }

   private:
    AdoptionGate* gate_{};
  };

  AdoptionGate() : timer_(kernel::time::timers(), &AdoptionGate::on_limit, this) {}
  AdoptionGate(const AdoptionGate&) = delete;
  AdoptionGate& operator=(const AdoptionGate&) = delete;

  /// Returns when it is open, in the same round of the scheduler for all. It never closes again.
  [[nodiscard]] kernel::task::Task<> pass() {
    if (!open_ && !timer_.armed()) timer_.once(kernel::time::now() + kLimitNs);
    while (!open_)
      co_await opened_.wait();
  }

 private:
  static void on_limit(void* self) { static_cast<AdoptionGate*>(self)->open(); }

  void returned() {
    if (--tickets_ == 0) open();
  }
  void open() {
    open_ = true;
    timer_.cancel();
    opened_.announce();
  }

  std::uint32_t tickets_{};
  bool open_{};
  kernel::task::Signal opened_;
  kernel::Timer timer_;
};

}  // namespace ppvmm::netuk

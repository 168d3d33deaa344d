/// Faults from outside: does to a running unikernel what inject_plan.hpp decided, from dom0, with
/// nothing asked of the target and nothing prepared in it. Every injection says exactly what it
/// did, so that it can be made again.
///
/// Through libxenctrl and libxenforeignmemory only. docs/faults.md tells what each fault stands
/// for.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/guest_memory.hpp"
#include "root/image.hpp"
#include "root/inject_plan.hpp"
#include "root/xen.hpp"
#include "root/xen_clock.hpp"

namespace ppvmm::root::inject {

/// What was done.
struct Injection {
  FaultType fault{};
  DomId domid{};
  std::optional<Where>
      where{};              ///< The ground, for faults in memory that was not addressed exactly.
  std::uint64_t address{};  ///< Of the change in memory; or where it stood, for registers.
  std::string symbol{};     ///< Function or object at `address`, when symbols are known.
  std::vector<std::byte> before{};
  std::vector<std::byte> after{};
  std::size_t copies{};              ///< Further words that were changed alike (Where::digest).
  std::optional<std::size_t> reg{};  ///< Register that was changed.
  std::uint64_t reg_before{};
  std::uint64_t reg_after{};
  std::optional<std::uint32_t> port{};  ///< Event that was lost.
  std::uint64_t xen_ns{};               ///< Xen system time at which it took effect; 0: unknown.
  std::uint64_t dom0_ns{};              ///< The same on dom0's monotonic clock.
  std::vector<std::string> replay{};    ///< Arguments that make the same change again.
};

/// What the injector needs of a unikernel: its domain and its image.
struct Victim {
  DomId domid{};
  const Image* image{};  ///< Must outlive the injector.
};

class Injector {
 public:
  /// `supervisor`: process to kill for kill_supervisor.
  Injector(const Xen& xen, Victim victim, std::optional<int> supervisor)
      : xen_(&xen), victim_(victim), supervisor_(supervisor) {}

  /// Looks for the ground of `request` already now, if that is one that has to be searched for: a
  /// drill that waits for a moment shall not have to search when it comes. The next inject() uses
  /// what was found.
  [[nodiscard]] Result<void> scout(const Request& request, Dice& dice);

  /// Carries out one fault. `limit` bounds the wait for its moment.
  [[nodiscard]] Result<Injection> inject(const Request& request, Dice& dice,
                                         std::chrono::milliseconds limit);

  /// Where ground of a kind lies now (the domain should be paused for the moving ones).
  [[nodiscard]] Result<std::vector<Stretch>> ground(Where where, Dice& dice);

 private:
  [[nodiscard]] Result<void> reach(Moment moment, std::chrono::milliseconds limit) const;
  [[nodiscard]] Result<Injection> act(const Request& request, Dice& dice);
  [[nodiscard]] Result<Injection> change_memory(const Request& request, Dice& dice);
  [[nodiscard]] Result<Injection> change_register(const Request& request, Dice& dice);
  [[nodiscard]] Result<Injection> lose_event(std::chrono::milliseconds limit);
  [[nodiscard]] Result<Injection> kill_supervisor() const;
  [[nodiscard]] Result<Registers> registers() const;
  [[nodiscard]] std::vector<Stretch> heap(GuestMemory& memory) const;
  [[nodiscard]] std::string symbol(std::uint64_t address) const;
  void stamp(Injection& done) const;

  const Xen* xen_;
  Victim victim_;
  std::optional<int> supervisor_;
  std::optional<XenClock> clock_;
  std::optional<std::vector<Stretch>> scouted_;  ///< Found before the domain was stopped.
};

}  // namespace ppvmm::root::inject

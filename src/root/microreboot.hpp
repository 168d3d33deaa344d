/// In-place microreboot: the pristine image goes back into the domain's memory and its vCPU goes on
/// at the re-entry point. Memory marked `keep`, page tables, grants and event channels stay.
///
/// Contract: abi/image_note.hpp, docs/vitals.md. Xen lets the context of an initialised PV vCPU be
/// set as long as CR3, GDT and LDT stay as they are.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "abi/vitals.hpp"
#include "root/builder.hpp"
#include "root/events.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/vitals_view.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// What putting the image back changed.
struct RestoredPages {
  std::size_t pages{};    ///< Pages that were not as the image has them.
  std::size_t damaged{};  ///< Those among them that nobody may write: code or constants.
};

/// One microreboot: where the time went, in nanoseconds of root's clock.
struct MicrorebootReport {
  std::uint64_t pause_ns{};    ///< Stop the vCPU.
  std::uint64_t restore_ns{};  ///< Compare the image with its pristine form and put it back.
  std::uint64_t enter_ns{};    ///< Set the registers, resume, unpause.
  std::uint64_t ready_ns{};    ///< From there until the unikernel says it is ready.
  std::uint64_t total_ns{};
  RestoredPages restored;
};

/// What must be at hand to microreboot a domain without looking anything up: maps its pages once
/// and keeps them mapped, so that a reboot is copies and four hypercalls.
class Microreboot {
 public:
  [[nodiscard]] static Result<Microreboot> prepare(const Xen& xen, const Image& image,
                                                   const BuiltDomain& built);

  /// Reboots the domain, whatever it is doing. `link` is the local port bound to its supervisor
  /// port, if there is one yet: it wakes a vCPU that sleeps and announces readiness. Waits for
  /// readiness at most `limit`; then it fails, and the domain is left as it is.
  [[nodiscard]] Result<MicrorebootReport> run(abi::FaultKind cause, VitalsView& vitals,
                                              Events& events, std::optional<Events::Port> link,
                                              std::chrono::milliseconds limit);
  /// The same without waiting: returns when the domain runs again at its re-entry point. `held`:
  /// somebody else may have paused it, which is to be overruled.
  [[nodiscard]] Result<MicrorebootReport> enter(abi::FaultKind cause, VitalsView& vitals,
                                                Events& events, std::optional<Events::Port> link,
                                                bool held);

  /// Compares the next `pages` pages that nobody may write with the image, going round; says where
  /// the first damage is, as an address of the unikernel.
  [[nodiscard]] std::optional<std::uint64_t> scrub(std::size_t pages);

 private:
  struct Range {
    Mapping mapping;
    std::vector<std::byte> pristine;  ///< Empty: zeroes.
    bool writable;                    ///< The unikernel itself may write there.
    std::uint64_t address;            ///< As the unikernel sees it.
  };

  Microreboot(const Xen& xen, DomId domid, EntryPoint entry, Mapping shared_info)
      : xen_(&xen), domid_(domid), entry_(entry), shared_info_(std::move(shared_info)) {}
  [[nodiscard]] RestoredPages restore() const;
  void quiet_events(std::optional<std::uint32_t> supervisor_port) const;
  [[nodiscard]] Result<void> set_entry();
  [[nodiscard]] Result<void> go_on(const abi::Vitals& before, std::optional<Events::Port> link,
                                   Events& events);
  [[nodiscard]] Result<void> let_run(bool held) const;

  const Xen* xen_;
  DomId domid_;
  EntryPoint entry_;
  Mapping shared_info_;
  /// The vCPU as it was when it was last asked for: what of it matters to a re-entry never changes.
  std::optional<VcpuState> vcpu_;
  std::vector<Range> ranges_;
  std::size_t scrubbed_{};  ///< Pages gone round so far, over all ranges that nobody may write.
};

/// Waits until the unikernel of `vitals` is ready in an incarnation after `after`, or its domain
/// stopped, or the limit passed.
[[nodiscard]] Result<void> wait_ready(const Xen& xen, DomId domid, const VitalsView& vitals,
                                      std::uint32_t after, Events& events,
                                      std::chrono::milliseconds limit);

}  // namespace ppvmm::root

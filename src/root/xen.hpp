/// The hypervisor as root sees it: one object that owns the handles of Xen's control libraries,
/// with the few operations root needs as typed calls. All decisions are made elsewhere.
///
/// Interface: Xen public/domctl.h through libxenctrl, libxencall and libxenforeignmemory of the
/// running Xen's own package.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "root/failure.hpp"

struct xc_interface_core;

namespace ppvmm::root {

using DomId = std::uint16_t;
/// A machine frame number. A PV domain's pages are named by these.
using Mfn = std::uint64_t;

inline constexpr std::size_t kPageSize = 4096;
/// First domain id that Xen keeps for itself (public/xen.h, DOMID_FIRST_RESERVED).
inline constexpr DomId kFirstReservedDomId = 0x7FF0;

/// What Xen says about one domain.
struct DomainFacts {
  DomId domid{};
  bool dying{};
  bool shut_down{};  ///< It stopped itself or was stopped; see `reason`.
  bool paused{};
  bool blocked{};
  bool offline{};           ///< It has no vCPU that could run.
  bool xenstore{};          ///< Created as the host's XenStore domain.
  std::uint8_t reason{};    ///< SHUTDOWN_* of public/sched.h, when shut_down.
  std::uint64_t cpu_ns{};   ///< CPU time used since creation.
  std::uint64_t pages{};    ///< Pages it owns now.
  Mfn shared_info{};        ///< Frame of its shared info page.
  std::uint32_t ssidref{};  ///< Label of the security module.
};

/// Registers that a re-entry sets; everything else of the vCPU stays.
struct EntryPoint {
  std::uint64_t rip{};
  std::uint64_t rsp{};
  std::uint64_t rdi{};
  std::uint64_t rsi{};
};

/// What Xen keeps of a vCPU, as Xen itself writes it (public/arch-x86/xen.h, vcpu_guest_context).
struct VcpuState {
  std::vector<std::byte> bytes;
};

/// Pages of another domain, mapped here until the object goes. Movable, not copyable.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* handle, std::byte* address, std::size_t pages)
      : handle_(handle), address_(address), pages_(pages) {}
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {address_, pages_ * kPageSize}; }

 private:
  void* handle_{};
  std::byte* address_{};
  std::size_t pages_{};
};

enum class Access : std::uint8_t { read, read_write };

class Xen {
 public:
  /// Opens the control interfaces of this host. Needs root's rights in dom0.
  [[nodiscard]] static Result<Xen> open();
  ~Xen();
  Xen(Xen&& other) noexcept;
  Xen& operator=(Xen&& other) noexcept;

  /// Processors that Xen schedules on; 0 when it does not say.
  [[nodiscard]] std::uint32_t processors() const;

  /// The domain as it is now, or nothing when there is none of this id.
  [[nodiscard]] std::optional<DomainFacts> domain(DomId domid) const;
  /// Every domain, ascending by id.
  [[nodiscard]] std::vector<DomainFacts> domains() const;
  /// The first `most` domains with an id of at least `first`, in one call.
  [[nodiscard]] std::vector<DomainFacts> domains_from(DomId first, std::size_t most) const;

  [[nodiscard]] Result<void> pause(DomId domid) const;
  /// Takes one pause back; one that is not paused is left as it is.
  [[nodiscard]] Result<void> unpause(DomId domid) const;
  /// Ends the domain and frees what it holds. The id is free again when domain() finds nothing.
  [[nodiscard]] Result<void> destroy(DomId domid) const;
  /// Takes the shutdown state back, so that the vCPUs may run again. Nothing else is touched.
  [[nodiscard]] Result<void> resume(DomId domid) const;
  /// vCPU 0 as it is now.
  [[nodiscard]] Result<VcpuState> vcpu_state(DomId domid) const;
  /// Makes vCPU 0 of a paused PV domain go on at `entry`: kernel mode, no pending trap handlers or
  /// callbacks. `as`: taken at any time of this domain's life; its page tables, GDT and LDT must
  /// still be the vCPU's, else Xen refuses (arch_set_info_guest).
  [[nodiscard]] Result<void> set_entry(DomId domid, const EntryPoint& entry,
                                       const VcpuState& as) const;
  /// The instruction pointer of vCPU 0, for diagnosis.
  [[nodiscard]] Result<std::uint64_t> instruction_pointer(DomId domid) const;

  /// Maps frames that `domid` owns (or shares, as its shared info page), in the given order.
  [[nodiscard]] Result<Mapping> map(DomId domid, std::span<const Mfn> frames, Access access) const;

  /// For code that needs libxenctrl itself: the builder. Never outlives this object.
  [[nodiscard]] xc_interface_core* control() const { return control_; }

 private:
  struct Handles;
  Xen() = default;
  xc_interface_core* control_{};
  void* call_{};
  void* memory_{};
};

/// Time on this domain's monotonic clock, in nanoseconds.
[[nodiscard]] std::uint64_t now_ns();
inline constexpr std::uint64_t kNsPerMs = 1'000'000;
inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

}  // namespace ppvmm::root

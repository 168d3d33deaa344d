/// Xen's system time in dom0: the clock that unikernels stamp their vitals with (abi/vitals.hpp),
/// so that "injected here, seen there" is measured on one clock.
///
/// Interface: struct vcpu_time_info in a domain's shared info page (public/xen.h). Any domain's
/// record serves, since system time is the host's; dom0 reads the time-stamp counter directly.
#pragma once

#include <cstdint>

#include "root/failure.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

class XenClock {
 public:
  /// Uses the record of `domid`, whose vCPU 0 must have run at least once. Holds one of its pages:
  /// let go of the object before the domain is destroyed.
  [[nodiscard]] static Result<XenClock> map(const Xen& xen, DomId domid);

  /// Nanoseconds since Xen started.
  [[nodiscard]] std::uint64_t now() const;

 private:
  explicit XenClock(Mapping shared_info) : shared_info_(std::move(shared_info)) {}
  Mapping shared_info_;
};

}  // namespace ppvmm::root

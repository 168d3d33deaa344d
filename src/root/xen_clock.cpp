#include "root/xen_clock.hpp"

#include <array>
#include <atomic>

#include "root/xen_headers.hpp"

namespace ppvmm::root {

Result<XenClock> XenClock::map(const Xen& xen, DomId domid) {
  const auto facts = xen.domain(domid);
  if (!facts) return refused("domain " + std::to_string(domid) + " does not exist");
  const std::array<Mfn, 1> frames{facts->shared_info};
  auto mapping = xen.map(domid, frames, Access::read);
  if (!mapping) return std::unexpected(mapping.error());
  const auto& shared = *reinterpret_cast<const shared_info_t*>(mapping->bytes().data());
  if (shared.vcpu_info[0].time.tsc_to_system_mul == 0) {
    return refused("domain " + std::to_string(domid) + " has not run yet: no time record");
  }
  return XenClock(std::move(*mapping));
}

std::uint64_t XenClock::now() const {
  __extension__ using Wide = unsigned __int128;
  const volatile vcpu_time_info_t& info =
      reinterpret_cast<const volatile shared_info_t*>(shared_info_.bytes().data())
          ->vcpu_info[0]
          .time;
  // An odd version means that Xen is writing, a changed one that it wrote while we read.
  while (true) {
    const std::uint32_t version = info.version;
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t begun = info.tsc_timestamp;
    const std::uint64_t counter = __builtin_ia32_rdtsc();
    // Another processor's counter may be a little behind the one that made the record.
    std::uint64_t delta = counter > begun ? counter - begun : 0;
    const int shift = info.tsc_shift;  // NOLINT(bugprone-signed-char-misuse): a number below zero
    delta = shift >= 0 ? delta << shift : delta >> -shift;
    const auto product = static_cast<Wide>(delta) * info.tsc_to_system_mul;
    const std::uint64_t time = info.system_time + static_cast<std::uint64_t>(product >> 32U);
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((version & 1U) == 0 && version == info.version) return time;
  }
}

}  // namespace ppvmm::root

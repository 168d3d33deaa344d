#include "root/daemon/stillness.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::root::daemon {

void Stillness::hold(DomId domid, std::uint64_t now_ns) {
  if (holds(domid)) return;
  // One that is gone needs no holding.
  if (!xen_->pause(domid)) return;
  if (held_.empty()) since_ns_ = now_ns;
  held_.push_back(domid);
}

bool Stillness::holds(DomId domid) const {
  return std::ranges::find(held_, domid) != held_.end();
}

void Stillness::end() {
  for (const DomId domid : std::exchange(held_, {}))
    static_cast<void>(xen_->unpause(domid));
}

}  // namespace ppvmm::root::daemon

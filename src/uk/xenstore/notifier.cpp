#include "uk/xenstore/notifier.hpp"

#include "abi/hypercall.hpp"
#include "kernel/events.hpp"

namespace ppvmm::xenstore {

void Notifier::flush() {
  if (ports_.empty()) return;
  if (ports_.size() == 1) {
    kernel::events::notify(ports_.front());
  } else {
    // Both arrays get their final size before any address of them is taken.
    sends_.assign(ports_.size(), {});
    calls_.assign(ports_.size(), {});
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      sends_[i].port = ports_[i];
      calls_[i].op = __HYPERVISOR_event_channel_op;
      calls_[i].args[0] = EVTCHNOP_send;
      calls_[i].args[1] = abi::arg(&sends_[i]);
    }
    // The call as a whole fails only for a list that Xen cannot read; each entry's result tells of
    // a port that is gone, which needs nothing done.
    (void)abi::hypercall(__HYPERVISOR_multicall, abi::arg(calls_.data()), calls_.size());
  }
  ports_.clear();
}

}  // namespace ppvmm::xenstore

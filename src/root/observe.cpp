#include "root/observe.hpp"

#include "root/vitals_view.hpp"
#include "root/xen_headers.hpp"

namespace ppvmm::root {

Observation observation_of(const DomainFacts& facts, const abi::Vitals& page,
                           std::uint64_t now_ns) {
  Observation seen;
  seen.now_ns = now_ns;
  seen.exists = true;
  seen.stopped = facts.shut_down || facts.dying;
  seen.crashed = facts.shut_down && facts.reason == SHUTDOWN_crash;
  seen.dying = facts.dying;
  seen.paused = facts.paused || facts.offline;
  seen.blocked = facts.blocked;
  seen.cpu_ns = facts.cpu_ns;
  if (!plausible(page)) return seen;
  seen.state = page.state;
  seen.incarnation = page.incarnation;
  if (page.fault.incarnation == page.incarnation) seen.fault = page.fault.kind;
  seen.progress = page.counts.events;
  for (const abi::Progress& part : page.progress) {
    seen.progress += part.count;
    seen.waiting += part.waiting;
  }
  seen.ping = page.orders.ping;
  seen.pong = page.pong;
  seen.asleep = page.asleep != 0;
  seen.command_done = page.command_done;
  seen.command_result = page.command_result;
  return seen;
}

}  // namespace ppvmm::root

#include "kernel/events.hpp"

#include <xen/errno.h>

#include <array>
#include <bit>

#include "abi/hypercall.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::events {
namespace {

constexpr std::size_t kPorts = EVTCHN_2L_NR_CHANNELS;
constexpr std::size_t kWordBits = 64;
constexpr std::uint32_t kSupervisorTag = 0x50505301;

struct Slot {
  Handler handler;
  void* context;
};
std::array<Slot, kPorts> slots;
/// Words of the bit fields below which ports with handlers lie.
std::size_t words_in_use = 0;
std::array<std::uint64_t, kPorts / kWordBits> held_masks;
bool stopping = false;
bool reborn_life = false;

shared_info_t& shared() {
  return *at<shared_info_t>(address_of(&ppvmm_shared_info[0]));
}
vcpu_info_t& vcpu() {
  return shared().vcpu_info[0];
}

Error error_of(long result) {
  switch (-result) {
    case XEN_ESRCH:
    case XEN_EINVAL:
    case XEN_ENOENT:
      return Error::no_such_port;
    case XEN_EPERM:
    case XEN_EACCES:
      return Error::denied;
    case XEN_ENOSPC:
    case XEN_ENOMEM:
      return Error::no_space;
    default:
      return Error::other;
  }
}

std::expected<Port, Error> checked(long result, Port port) {
  if (result != 0) return std::unexpected(error_of(result));
  if (port == 0 || port >= kPorts) return std::unexpected(Error::no_space);
  return port;
}

void mask_upcalls() {
  __atomic_store_n(&vcpu().evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}

/// Makes a port of our own pending, as Xen would.
void raise(Port port) {
  __atomic_fetch_or(&shared().evtchn_pending[port / kWordBits], 1ul << port % kWordBits,
                    __ATOMIC_SEQ_CST);
  __atomic_fetch_or(&vcpu().evtchn_pending_sel, 1ul << port / kWordBits, __ATOMIC_SEQ_CST);
  __atomic_store_n(&vcpu().evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
}

bool dispatch() {
  if (__atomic_exchange_n(&vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST) == 0) return false;
  bool any = false;
  std::uint64_t words = __atomic_exchange_n(&vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
  for (; words != 0; words &= words - 1) {
    const auto word = static_cast<std::size_t>(std::countr_zero(words));
    const std::uint64_t enabled = ~__atomic_load_n(&shared().evtchn_mask[word], __ATOMIC_SEQ_CST);
    std::uint64_t ports =
        __atomic_fetch_and(&shared().evtchn_pending[word], ~enabled, __ATOMIC_SEQ_CST) & enabled;
    for (; ports != 0; ports &= ports - 1) {
      const auto port =
          static_cast<Port>(word * kWordBits + static_cast<std::size_t>(std::countr_zero(ports)));
      any = true;
      ++vitals::page().counts.events;
      if (slots[port].handler != nullptr) slots[port].handler(slots[port].context, port);
    }
  }
  return any;
}

void on_supervisor(void*, Port) {
  vitals::look_at_orders();
}

/// Gives the vCPU back until an event comes or `deadline`.
void sleep(std::optional<Nanoseconds> deadline) {
  auto& page = vitals::page();
  if (!deadline) {
    time::no_wake();
  } else {
    // What is armed already and comes earlier will do: then it is set again.
    mask(time::port(), false);
    const bool over = take(time::port()) || time::armed_until() <= time::now();
    if ((over || time::armed_until() > *deadline) && !time::wake_at(*deadline)) return;
  }
  page.asleep = 1;
  ++page.counts.sleeps;
  abi::sched_block();
  mask_upcalls();
  page.asleep = 0;
}

std::optional<Nanoseconds> earlier(std::optional<Nanoseconds> a, std::optional<Nanoseconds> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

bool belongs_to_domain_builder(Port port) {
  const abi::Origin& origin = vitals::page().origin;
  return port == origin.console_port || port == origin.store_port;
}

bool is_survivor(Port port) {
  bool found = false;
  vitals::survivors().for_each([&](const abi::Survivor& entry) {
    found = found || (entry.kind == abi::SurvivorKind::port && entry.id == port);
  });
  return found;
}

/// Closes what the last incarnation had open and nobody will ask for.
void close_leftovers() {
  for (Port port = 1; port < kPorts; ++port) {
    evtchn_status_t status{};
    status.dom = DOMID_SELF;
    status.port = port;
    if (abi::event_channel_op(EVTCHNOP_status, status) != 0) break;  // past the last one allocated
    if (status.status == EVTCHNSTAT_closed) continue;
    if (!belongs_to_domain_builder(port) && !is_survivor(port)) close(port);
  }
}

}  // namespace

std::expected<Port, Error> alloc_unbound(DomId remote) {
  evtchn_alloc_unbound_t request{};
  request.dom = DOMID_SELF;
  request.remote_dom = remote;
  const long result = abi::event_channel_op(EVTCHNOP_alloc_unbound, request);
  return checked(result, request.port);
}

std::expected<Port, Error> bind_interdomain(DomId remote, Port remote_port) {
  evtchn_bind_interdomain_t request{};
  request.remote_dom = remote;
  request.remote_port = remote_port;
  const long result = abi::event_channel_op(EVTCHNOP_bind_interdomain, request);
  return checked(result, request.local_port);
}

std::expected<Port, Error> bind_virq(std::uint32_t virq) {
  evtchn_bind_virq_t request{};
  request.virq = virq;
  const long result = abi::event_channel_op(EVTCHNOP_bind_virq, request);
  return checked(result, request.port);
}

std::expected<Port, Error> bind_pirq(std::uint32_t pirq) {
  evtchn_bind_pirq_t request{};
  request.pirq = pirq;
  const long result = abi::event_channel_op(EVTCHNOP_bind_pirq, request);
  return checked(result, request.port);
}

void eoi(std::uint32_t pirq) {
  physdev_eoi_t request{};
  request.irq = pirq;
  (void)abi::hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, abi::arg(&request));
}

DomId own_domain() {
  static DomId own = DOMID_SELF;
  if (own != DOMID_SELF) return own;
  // A port reserved for ourselves: its status names the domain it is reserved for.
  const auto port = alloc_unbound(DOMID_SELF);
  if (!port) return own;
  evtchn_status_t status{};
  status.dom = DOMID_SELF;
  status.port = *port;
  if (abi::event_channel_op(EVTCHNOP_status, status) == 0 && status.status == EVTCHNSTAT_unbound) {
    own = status.u.unbound.dom;
  }
  close(*port);
  return own;
}

void close(Port port) {
  if (port == 0 || port >= kPorts) return;
  handle(port, nullptr, nullptr);
  evtchn_close_t request{};
  request.port = port;
  (void)abi::event_channel_op(EVTCHNOP_close, request);
}

void handle(Port port, Handler handler, void* context) {
  if (port == 0 || port >= kPorts) return;
  slots[port] = {handler, context};
  words_in_use = std::max<std::size_t>(words_in_use, port / kWordBits + 1);
  auto& mask = shared().evtchn_mask[port / kWordBits];
  const std::uint64_t bit = 1ul << port % kWordBits;
  if (handler == nullptr) {
    __atomic_fetch_or(&mask, bit, __ATOMIC_SEQ_CST);
    return;
  }
  // Setting the bit by hypercall would also raise what is pending; here the loop always looks, so
  // clearing it and raising ourselves is enough.
  __atomic_fetch_and(&mask, ~bit, __ATOMIC_SEQ_CST);
  const std::uint64_t pending =
      __atomic_load_n(&shared().evtchn_pending[port / kWordBits], __ATOMIC_SEQ_CST);
  if ((pending & bit) != 0 || (reborn_life && is_survivor(port))) raise(port);
}

void take_upcall() {
  __atomic_store_n(&vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
  // Xen makes an upcall only for the first event below a selector that is clear.
  __atomic_store_n(&vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
}

void admit_only(Port port) {
  auto& page = shared();
  for (std::size_t word = 0; word < words_in_use; ++word) {
    held_masks[word] = page.evtchn_mask[word];
    __atomic_store_n(&page.evtchn_mask[word], ~0ul, __ATOMIC_RELAXED);
  }
  mask(port, false);
  // What came before is raised again by admit_all().
  take_upcall();
  __atomic_store_n(&vcpu().evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
}

void admit_all() {
  mask_upcalls();
  auto& page = shared();
  for (std::size_t word = 0; word < words_in_use; ++word)
    __atomic_store_n(&page.evtchn_mask[word], held_masks[word], __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (std::size_t word = 0; word < words_in_use; ++word) {
    const std::uint64_t pending = __atomic_load_n(&page.evtchn_pending[word], __ATOMIC_RELAXED);
    if ((pending & ~held_masks[word]) == 0) continue;
    __atomic_fetch_or(&vcpu().evtchn_pending_sel, 1ul << word, __ATOMIC_SEQ_CST);
    __atomic_store_n(&vcpu().evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
  }
}

void mask(Port port, bool masked) {
  if (port == 0 || port >= kPorts) return;
  auto& word = shared().evtchn_mask[port / kWordBits];
  const std::uint64_t bit = 1ul << port % kWordBits;
  if (masked) {
    __atomic_fetch_or(&word, bit, __ATOMIC_SEQ_CST);
  } else {
    __atomic_fetch_and(&word, ~bit, __ATOMIC_SEQ_CST);
  }
}

bool take(Port port) {
  if (port == 0 || port >= kPorts) return false;
  const std::uint64_t bit = 1ul << port % kWordBits;
  return (__atomic_fetch_and(&shared().evtchn_pending[port / kWordBits], ~bit, __ATOMIC_SEQ_CST) &
          bit) != 0;
}

void notify(Port port) {
  evtchn_send_t request{};
  request.port = port;
  (void)abi::event_channel_op(EVTCHNOP_send, request);
}

bool survive(Port port, std::uint32_t tag, DomId remote, Port remote_port) {
  return vitals::survivors().add({.kind = abi::SurvivorKind::port,
                                  .domid = remote,
                                  .tag = tag,
                                  .id = port,
                                  .peer = remote_port,
                                  .where = 0,
                                  .sum = 0});
}

Port survived(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::port, tag);
  return entry && entry->id < kPorts ? entry->id : 0;
}

void forget(std::uint32_t tag) {
  vitals::survivors().remove(abi::SurvivorKind::port, tag);
}

bool turn() {
  bool any = dispatch();
  // Reading the clock can cost a trap into Xen (an emulated time-stamp counter), so only if needed.
  std::size_t fired = 0;
  if (time::timers().armed() > 0) fired = time::timers().fire(time::now());
  vitals::page().counts.timers += fired;
  any = task::run_ready() || fired > 0 || any;
  if (any) vitals::progress(vitals::Component::kernel);
  return any;
}

void run() {
  stopping = false;
  while (!stopping) {
    if (!turn() && !stopping) sleep(time::timers().next());
  }
}

void stop() {
  stopping = true;
}

bool run_until(bool (*done)(void* context), void* context, Nanoseconds deadline) {
  while (!done(context)) {
    if (turn()) continue;
    if (time::now() >= deadline) return done(context);
    sleep(earlier(time::timers().next(), deadline));
  }
  return true;
}

void set_up(bool reborn) {
  mask_upcalls();
  reborn_life = reborn;
  for (auto& word : shared().evtchn_mask)
    __atomic_store_n(&word, ~0ul, __ATOMIC_SEQ_CST);
  if (reborn) close_leftovers();
}

void set_up_supervisor(bool reborn) {
  Port port = reborn ? survived(kSupervisorTag) : 0;
  if (port == 0) {
    const auto fresh = alloc_unbound(0);
    if (!fresh) panic("no port for the supervisor");
    port = *fresh;
    if (!survive(port, kSupervisorTag, 0, 0)) panic("supervisor port cannot be kept");
  }
  handle(port, on_supervisor, nullptr);
  vitals::page().supervisor_port = port;
}

}  // namespace ppvmm::kernel::events

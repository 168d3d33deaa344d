// The primary's connections: how one begins, and how it is taken up again after a rebirth.

#include <algorithm>
#include <utility>

#include "replication/primary.hpp"
#include "store/ring.hpp"

namespace ppvmm::replication {
namespace {

/// A connection that begins, or goes on, where its ring stands.
Event::Ring begin_at(const RingPort& ring, std::uint64_t gfn, std::uint32_t port) {
  const auto held = ring.held();
  return {gfn, port, held ? held->index : ring.consumed(), ring.produced()};
}

}  // namespace

Primary::Link* Primary::link(DomId domid) {
  const auto at =
      std::lower_bound(links_.begin(), links_.end(), domid,
                       [](const Link& one, DomId wanted) { return one.domid < wanted; });
  return at != links_.end() && at->domid == domid ? &*at : nullptr;
}

Primary::Link& Primary::add_link(DomId domid, SharedMemory page) {
  forget_link(domid);
  const auto at =
      std::lower_bound(links_.begin(), links_.end(), domid,
                       [](const Link& one, DomId wanted) { return one.domid < wanted; });
  Link& added = *links_.insert(at, Link{});
  added.domid = domid;
  added.ring = RingPort{page};
  added.round = round_;
  if (const auto conn = machine().connection_of(domid)) added.conn = *conn;
  added.given_up = machine().broken(added.conn);
  return added;
}

void Primary::forget_link(DomId domid) {
  if (Link* old = link(domid)) links_.erase(links_.begin() + (old - links_.data()));
  std::erase(queue_, domid);
}

void Primary::begin(DomId domid, SharedMemory page) {
  const Seat* const seat = replica_.ledger().find(domid);
  if (seat == nullptr) return;
  Link& added = add_link(domid, page);
  find_held(added, *seat);
  enqueue(added);
}

void Primary::enqueue(Link& link) {
  if (std::exchange(link.queued, true)) return;
  queue_.push_back(link.domid);
}

void Primary::kick(DomId domid) {
  if (Link* found = link(domid)) enqueue(*found);
}

void Primary::kick_all() {
  ++round_;
  for (Link& one : links_)
    enqueue(one);
}

bool Primary::neglects() const {
  return std::ranges::any_of(links_, [this](const Link& one) {
    return one.round != round_ || replica_.machine().broken(one.conn) != one.given_up;
  });
}

bool Primary::adopt(DomId domid, SharedMemory page) {
  Seat* seat = replica_.ledger().find(domid);
  if (seat == nullptr) return false;
  Link& added = add_link(domid, page);
  added.ring.advertise();
  // Spurious events are harmless, lost ones are not: whatever was to be announced is announced.
  added.notify = true;
  enqueue(added);
  // While the guest waits for a reset nothing else in the page means anything.
  if (added.ring.reconnect_requested()) return true;

  std::vector<Intent> intents;
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!set_.is_member(i)) continue;
    for (const std::uint64_t half : {0u, 1u}) {
      if (const auto intent = set_.region(i)->intent(seat->slot, half)) intents.push_back(*intent);
    }
  }
  const auto newest = newest_intent(*seat, intents);
  const auto streams = reconcile(*seat, newest, added.ring.produced());
  if (!streams || streams->logged < seat->settled) {
    added.condemned = XENSTORE_ERROR_RINGIDX;
    return true;
  }
  const auto unsettled = static_cast<std::uint32_t>(streams->logged - seat->settled);
  if (!replica_.settle({domid, unsettled})) {
    added.condemned = XENSTORE_ERROR_RINGIDX;
    return true;
  }
  // Whoever lacks the newest intent gets it now: the next publication may tear the older half.
  for (std::size_t i = 0; i < kBackups && newest; ++i) {
    if (!set_.is_member(i)) continue;
    const auto theirs = set_.region(i)->intent(seat->slot, newest->serial);
    if (!theirs || theirs->check != newest->check) set_.region(i)->set_intent(seat->slot, *newest);
  }
  added.unsettled = unsettled;
  added.out = streams->out;
  added.logged = streams->logged;
  added.serial = streams->serial;
  seat->in = streams->in;
  find_held(added, *seat);
  consume(added, *seat);
  return true;
}

bool Primary::go_on_at_ring(DomId domid) {
  Link* one = link(domid);
  const Seat* const seat = replica_.ledger().find(domid);
  if (one == nullptr || seat == nullptr || one->condemned == 0) return true;
  Event event;
  event.kind = Event::Kind::resumed;
  event.domid = domid;
  event.ring = begin_at(one->ring, seat->ring.gfn, seat->ring.port);
  if (!commit(event)) return false;
  one = link(domid);
  if (one == nullptr) return true;
  one->condemned = 0;
  one->out = one->logged = one->serial = 0;
  one->unsettled = 0;
  if (const Seat* const resumed = replica_.ledger().find(domid)) find_held(*one, *resumed);
  enqueue(*one);
  return true;
}

bool Primary::connect(DomId domid, std::uint64_t gfn, std::uint32_t port, SharedMemory page) {
  if (replica_.ledger().find(domid) != nullptr || replica_.ledger().full()) return true;
  RingPort ring{page};
  ring.advertise();
  Event event;
  event.kind = Event::Kind::connected;
  event.domid = domid;
  event.ring = begin_at(ring, gfn, port);
  if (!commit(event)) return false;
  begin(domid, page);
  return true;
}

bool Primary::introduced(DomId domid, store::IntroduceResult result, SharedMemory page) {
  const auto pending = replica_.ledger().pending();
  const auto attach = std::find_if(pending.begin(), pending.end(),
                                   [&](const PendingAttach& one) { return one.domid == domid; });
  if (attach == pending.end()) return true;  // nobody asked
  Event event;
  event.kind = Event::Kind::introduced;
  event.domid = domid;
  event.result = replica_.ledger().full() ? store::IntroduceResult::bad_ring : result;
  const bool attached = event.result == store::IntroduceResult::attached;
  if (attached) {
    RingPort ring{page};
    ring.advertise();
    event.ring = begin_at(ring, attach->gfn, attach->port);
  }
  if (!commit(event)) return false;
  if (attached) begin(domid, page);
  return true;
}

}  // namespace ppvmm::replication

#include "replication/replica.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::replication {

std::expected<std::size_t, ApplyError> Replica::execute(const Event& event) {
  const std::uint64_t sequence = sequence_ + 1;
  std::size_t taken = 0;
  machine_.advance(event.now_ms);
  switch (event.kind) {
    case Event::Kind::input: {
      Seat* seat = ledger_.find(event.domid);
      const auto conn = machine_.connection_of(event.domid);
      if (seat == nullptr || !conn) return std::unexpected{ApplyError::no_connection};
      taken = machine_.receive(*conn, event.bytes);
      if (taken == 0) return 0;
      seat->took(event.in_before, event.bytes.first(taken));
      break;
    }
    case Event::Kind::introduced: {
      const bool attached = event.result == store::IntroduceResult::attached;
      if (attached && !seat_free(event.domid)) return std::unexpected{ApplyError::no_connection};
      if (!ledger_.settle_attach(event.domid)) return std::unexpected{ApplyError::no_connection};
      machine_.introduced(event.domid, event.result);
      // The domain may have gone meanwhile, or a later INTRODUCE may have overtaken this one.
      if (attached && machine_.connection_of(event.domid))
        ledger_.add(event.domid, sequence, event.ring);
      break;
    }
    case Event::Kind::connected:
      if (!seat_free(event.domid)) return std::unexpected{ApplyError::no_connection};
      machine_.connect_domain(event.domid, event.ring.gfn, event.ring.port);
      ledger_.add(event.domid, sequence, event.ring);
      break;
    case Event::Kind::failed:
      if (const auto conn = machine_.connection_of(event.domid)) machine_.fail(*conn);
      break;
    case Event::Kind::reconnect:
      machine_.reconnect(event.domid);
      break;
    case Event::Kind::shutdown:
      machine_.domain_shutdown(event.domid);
      break;
    case Event::Kind::dead:
      machine_.domain_dead(event.domid);
      break;
    case Event::Kind::reborn:
      machine_.domain_reborn(event.domid);
      break;
    case Event::Kind::resumed: {
      Seat* seat = ledger_.find(event.domid);
      if (seat == nullptr) return std::unexpected{ApplyError::no_connection};
      machine_.restart_streams(event.domid);
      seat->epoch = sequence;
      seat->ring = event.ring;
      seat->in = 0;
      seat->settled = 0;
      seat->missing = 0;
      break;
    }
    case Event::Kind::tick:
      break;
  }
  note_effects(sequence);
  sequence_ = sequence;
  return taken;
}

void Replica::executed_unlogged(const Event& event) {
  if (Seat* seat = ledger_.find(event.domid)) seat->took(event.in_before, event.bytes);
  ++sequence_;
}

std::expected<void, ApplyError> Replica::apply(const Decoded& record) {
  if (record.sequence != sequence_ + 1) return std::unexpected{ApplyError::wrong_sequence};
  for (const Settlement& settlement : record.settlements) {
    if (const auto done = settle(settlement); !done) return done;
  }
  const auto taken = execute(record.event);
  if (!taken) return std::unexpected{taken.error()};
  if (*taken != record.event.bytes.size()) return std::unexpected{ApplyError::refused};
  return {};
}

std::expected<void, ApplyError> Replica::settle(const Settlement& settlement) {
  Seat* seat = ledger_.find(settlement.domid);
  const auto conn = machine_.connection_of(settlement.domid);
  if (seat == nullptr || !conn) return std::unexpected{ApplyError::no_connection};
  std::size_t left = settlement.bytes;
  while (left > 0) {
    const std::size_t waiting = machine_.to_send(*conn).size();
    if (waiting == 0) return std::unexpected{ApplyError::no_connection};
    const std::size_t count = std::min(waiting, left);
    machine_.sent(*conn, count);
    left -= count;
  }
  seat->settled += settlement.bytes;
  return {};
}

std::vector<store::Effect> Replica::take_effects() {
  return std::exchange(effects_, {});
}

void Replica::note_effects(std::uint64_t sequence) {
  for (const store::Effect& effect : machine_.take_effects()) {
    switch (effect.kind) {
      case store::Effect::Kind::attach_domain:
        ledger_.expect_attach({effect.domid, effect.gfn, effect.port});
        break;
      case store::Effect::Kind::detach_domain:
        ledger_.remove(effect.domid);
        break;
      case store::Effect::Kind::reset_ring:
        // The streams begin anew, at index 0: the shell clears the indexes.
        if (Seat* seat = ledger_.find(effect.domid)) {
          seat->epoch = sequence;
          seat->ring.request_base = 0;
          seat->ring.response_base = 0;
          seat->in = 0;
          seat->settled = 0;
          seat->missing = 0;
        }
        break;
    }
    effects_.push_back(effect);
  }
}

}  // namespace ppvmm::replication

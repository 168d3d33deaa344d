#include "replication/primary.hpp"

#include <algorithm>

#include "store/ring.hpp"

namespace ppvmm::replication {

Primary::Primary(Restored state, ReplicaSet set, const PrimaryOptions& options)
    : replica_{std::move(state.replica)},
      tail_{state.tail},
      set_{std::move(set)},
      options_{options},
      now_ms_{replica_.machine().now_ms()},
      logged_ms_{now_ms_} {
  // A reborn primary does again what was asked for and never reported.
  for (const PendingAttach& attach : replica_.ledger().pending()) {
    effects_.push_back({.kind = store::Effect::Kind::attach_domain,
                        .domid = attach.domid,
                        .gfn = attach.gfn,
                        .port = attach.port});
  }
  static_cast<void>(replica_.take_effects());
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (set_.is_member(i)) options_.key = set_.region(i)->key();
  }
  digests_[tail_.sequence % kDigests] = {tail_.sequence, machine().tree_digest()};
}

// --- Events

bool Primary::room_for(std::size_t input_bytes) {
  // Settlements that do not fit one record go ahead in ticks; each of them needs room too.
  const std::uint64_t ticks = unsettled() / kSettlementsMax + 1;  // and one for the clock
  const std::uint64_t size = record_bound(input_bytes) + ticks * record_bound(0);
  // A record that fits says nothing about a larger one that waits.
  if (!set_.blocked(tail_, size)) return true;
  if (!blocked_since_ms_) {
    blocked_since_ms_ = now_ms_;
    blocked_bytes_ = 0;
  }
  blocked_bytes_ = std::max(blocked_bytes_, size);
  return false;
}

std::optional<std::size_t> Primary::commit(Event event) {
  if (!room_for(event.bytes.size())) return std::nullopt;
  prepare_log(kSettlementsMax);
  event.now_ms = now_ms_;
  const auto taken = replica_.execute(event);
  if (corrupt()) return std::nullopt;
  if (!taken) return 0;
  if (event.kind == Event::Kind::input) {
    if (*taken == 0) {
      // The machine's clock went on all the same, and replicas' clocks must go the same way.
      if (now_ms_ != logged_ms_) log_tick(now_ms_);
      return 0;
    }
    event.bytes = event.bytes.first(*taken);
  }
  log(event);
  after_event();
  return *taken;
}

bool Primary::commit_fact(Event::Kind kind, DomId domid) {
  Event event;
  event.kind = kind;
  event.domid = domid;
  return commit(event).has_value();
}

void Primary::prepare_log(std::size_t unsettled_at_most) {
  // A machine's clock may jump over a span in which nothing was due, but not over a deadline: what
  // expires depends on what had left until then.
  const auto deadline = machine().next_deadline_ms();
  bool tick_needed = deadline && *deadline <= now_ms_;
  while (tick_needed || unsettled() > unsettled_at_most) {
    log_tick(tick_needed ? now_ms_ : logged_ms_);
    tick_needed = false;
  }
}

void Primary::log_tick(std::uint64_t now_ms) {
  Event tick;
  tick.kind = Event::Kind::tick;
  tick.now_ms = now_ms;
  static_cast<void>(replica_.execute(tick));
  log(tick);
  after_event();
}

std::size_t Primary::unsettled() const {
  return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(),
                                                [](const Link& one) { return one.unsettled > 0; }));
}

void Primary::log(const Event& event) {
  settlements_.clear();
  for (Link& one : links_) {
    if (one.unsettled == 0) continue;
    if (settlements_.size() == kSettlementsMax) break;
    settlements_.push_back({one.domid, std::exchange(one.unsettled, 0)});
  }
  if (set_.members() == 0) {
    // Nobody keeps it. A region that is filled later begins its log wherever we are then.
    tail_ = after(tail_, 0);
  } else {
    encode(options_.key, tail_.sequence + 1, event, settlements_, record_);
    set_.append(tail_, record_);
    tail_ = after(tail_, record_.size());
  }
  logged_ms_ = event.now_ms;
  digests_[tail_.sequence % kDigests] = {tail_.sequence, machine().tree_digest()};
}

void Primary::after_event() {
  for (const store::Effect& effect : replica_.take_effects()) {
    switch (effect.kind) {
      case store::Effect::Kind::reset_ring:
        if (Link* one = link(effect.domid)) {
          one->out = one->logged = one->serial = 0;
          one->unsettled = 0;
          one->condemned = 0;
          one->held.clear();
          one->given_up = false;
          one->notify = true;
          if (const auto conn = machine().connection_of(effect.domid)) one->conn = *conn;
          one->ring.reset();
        }
        break;
      case store::Effect::Kind::detach_domain:
        forget_link(effect.domid);
        effects_.push_back(effect);
        break;
      case store::Effect::Kind::attach_domain:
        effects_.push_back(effect);
        break;
    }
  }
  // Whoever got something to send, or may be heard again, gets a turn.
  for (const store::ConnId conn : machine().take_ready()) {
    for (Link& one : links_) {
      if (one.conn != conn) continue;
      one.given_up = machine().broken(conn);
      enqueue(one);
    }
  }
}

bool Primary::advance(std::uint64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  if (blocked_since_ms_ && !set_.blocked(tail_, blocked_bytes_)) blocked_since_ms_.reset();
  if (blocked_since_ms_ && now_ms_ - *blocked_since_ms_ >= options_.stuck_after_ms) {
    while (const auto blocked = set_.blocked(tail_, 2 * record_bound(store::kRingBytes))) {
      set_.drop(*blocked, Report::Kind::backup_stuck);
    }
    blocked_since_ms_.reset();
  }
  if (!room_for(0)) return false;
  prepare_log(kSettlementsMax);
  return true;
}

bool Primary::domain_shutdown(DomId domid) {
  return commit_fact(Event::Kind::shutdown, domid);
}

bool Primary::domain_dead(DomId domid) {
  return commit_fact(Event::Kind::dead, domid);
}

bool Primary::domain_reborn(DomId domid) {
  return commit_fact(Event::Kind::reborn, domid);
}

std::vector<store::Effect> Primary::take_effects() {
  return std::exchange(effects_, {});
}

std::vector<DomId> Primary::take_notifications() {
  std::vector<DomId> domids;
  for (Link& one : links_) {
    if (std::exchange(one.notify, false)) domids.push_back(one.domid);
  }
  return domids;
}

// --- Backups

void Primary::attach_region(std::size_t backup, SharedMemory memory) {
  detach_region(backup);
  auto region = Region::format(memory, options_.geometry, options_.key);
  if (!region) {
    set_.report({Report::Kind::refill_failed, backup, 0});
    return;
  }
  set_.add(backup, std::move(*region));
  refills_[backup].emplace();
}

void Primary::detach_region(std::size_t backup) {
  set_.remove(backup);
  refills_[backup].reset();
}

bool Primary::maintain(std::uint64_t bytes) {
  bool more = false;
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!refills_[i]) continue;
    Region& target = *set_.region(i);
    const std::size_t other = 1 - i;
    auto progress = Refill::Progress::no_source;
    if (set_.is_member(other)) {
      progress = refills_[i]->step(*set_.region(other), target, tail_, bytes);
    }
    if (progress == Refill::Progress::no_source) {
      // Nobody else has the state: we write it down ourselves, which takes as long as it takes.
      // What has reached the rings is in it, so no later record may say so again.
      if (!room_for(0)) {
        more = true;
        continue;
      }
      prepare_log(0);
      const auto head = write_checkpoint(target, tail_, replica_);
      if (head) {
        target.set_word(kReleasedOffset, head->position);
        target.set_word(kAppliedOffset, head->sequence);
        target.set_word(kAppendedOffset, head->sequence);
        progress = Refill::Progress::caught_up;
      } else if (head.error() == CheckpointError::attach_pending) {
        more = true;
        continue;
      } else {
        set_.report({Report::Kind::refill_failed, i, static_cast<std::uint64_t>(head.error())});
        refills_[i].reset();
        continue;
      }
    }
    if (progress == Refill::Progress::restarted) {
      set_.report({Report::Kind::refill_restarted, i, 0});
    }
    if (progress != Refill::Progress::caught_up) {
      more = true;
      continue;
    }
    for (const Link& one : links_) {
      const Seat* seat = replica_.ledger().find(one.domid);
      if (one.serial == 0 || seat == nullptr) continue;
      Intent intent{};
      intent.serial = one.serial;
      intent.epoch = seat->epoch;
      intent.in_after = seat->in;
      intent.out_after = one.out;
      intent.logged_after = one.logged;
      intent.domid = one.domid;
      target.set_intent(seat->slot, intent);
    }
    set_.join(i);
    refills_[i].reset();
  }
  return more;
}

Vote Primary::compare() const {
  std::uint64_t sequence = tail_.sequence;
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!set_.is_member(i)) continue;
    const auto applied = set_.region(i)->word(kAppliedOffset);
    if (applied) sequence = std::min(sequence, *applied);
  }
  std::array<std::optional<std::uint64_t>, kReplicas> digests;
  const auto& [ours, digest] = digests_[sequence % kDigests];
  if (sequence != 0 && ours == sequence) digests[0] = digest;
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (set_.is_member(i)) digests[i + 1] = set_.region(i)->digest(sequence);
  }
  return vote(digests);
}

}  // namespace ppvmm::replication

#include "root/judge.hpp"

namespace ppvmm::root {

Health Judge::observe(const Observation& seen) {
  if (!seen.exists) return Health::gone;
  const bool new_life = fresh_ || seen.incarnation != last_.incarnation;
  if (new_life || seen.progress != last_.progress || seen.state != last_.state ||
      seen.pong != last_.pong) {
    moved_ns_ = seen.now_ns;
    pinged_ns_ = 0;
  }
  if (!seen.paused) {
    paused_ns_ = 0;
  } else if (paused_ns_ == 0) {
    paused_ns_ = seen.now_ns;
  }
  fresh_ = false;
  last_ = seen;

  if (seen.state == abi::LifeState::lost) return Health::lost;
  // The record is complete before Xen is told: nothing is gained by waiting for the shutdown.
  if (seen.state == abi::LifeState::dead && seen.fault != abi::FaultKind::none && !seen.dying) {
    return Health::faulted;
  }
  if (seen.dying) return Health::dead;
  if (seen.stopped) {
    if (seen.state == abi::LifeState::stopping && !seen.crashed) return Health::stopped;
    return seen.fault != abi::FaultKind::none ? Health::faulted : Health::dead;
  }
  return judge_running(seen);
}

Health Judge::judge_running(const Observation& seen) {
  const std::uint64_t silence = seen.now_ns - moved_ns_;
  if (seen.state != abi::LifeState::ready) {
    return silence > patience_.start_ns ? Health::hung : Health::starting;
  }
  // Xen has it at rest: it can neither move nor answer, so there is nothing to ask it. Whoever
  // meant that for a moment has had it.
  if (paused_ns_ != 0 && seen.now_ns - paused_ns_ > patience_.answer_ns / 2) return Health::hung;
  if (seen.ping != seen.pong) {
    if (pinged_ns_ == 0) {
      pinged_ns_ = seen.now_ns;
      pinged_cpu_ns_ = seen.cpu_ns.value_or(0);
    }
    return had_its_time(seen) ? Health::hung : Health::working;
  }
  const bool should_move = seen.waiting != 0 || !seen.asleep || seen.pending;
  const std::uint64_t allowed = should_move ? patience_.silence_ns : patience_.idle_ns;
  return silence > allowed ? Health::silent : Health::working;
}

/// Has the open ping been there long enough for an answer? A vCPU that wants to run and gets no
/// processor is given much longer than one that runs without answering, or that Xen has at rest.
bool Judge::had_its_time(const Observation& seen) const {
  constexpr std::uint64_t kStarved = 20;
  const std::uint64_t waited = seen.now_ns - pinged_ns_;
  if (waited <= patience_.answer_ns) return false;
  if (!seen.cpu_ns || seen.blocked) return true;
  return *seen.cpu_ns - pinged_cpu_ns_ >= patience_.answer_ns / 2 ||
         waited > kStarved * patience_.answer_ns;
}

Repair Escalation::decide(Health health, std::uint64_t now_ns) {
  const auto rebuild = [&] {
    return spend(rebuilds_, limits_.rebuilds, now_ns) ? Repair::rebuild : Repair::give_up;
  };
  switch (health) {
    case Health::starting:
    case Health::working:
    case Health::silent:
    case Health::stopped:
      return Repair::none;
    case Health::hung:
    case Health::faulted:
      return spend(microreboots_, limits_.microreboots, now_ns) ? Repair::microreboot : rebuild();
    case Health::dead:
    case Health::lost:
    case Health::gone:
      return rebuild();
  }
  return Repair::give_up;
}

bool Escalation::spend(Window& window, std::uint32_t limit, std::uint64_t now_ns) const {
  if (window.count == 0 || now_ns - window.begin_ns > limits_.window_ns) {
    window = {.begin_ns = now_ns, .count = 0};
  }
  if (window.count >= limit) return false;
  ++window.count;
  return true;
}

}  // namespace ppvmm::root

/// Time: the clock goes on, one-shot timers fire in order and not early, periodic ones keep their
/// beat, cancelled ones are silent.
#include <algorithm>
#include <array>

#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;

struct Shot {
  Nanoseconds at{};
  std::uint64_t order{};
};
std::uint64_t fired = 0;

void shoot(void* context) {
  *static_cast<Shot*>(context) = {time::now(), ++fired};
}

struct Beat {
  std::uint64_t count{};
};
void beat(void* context) {
  ++static_cast<Beat*>(context)->count;
}

bool three_shots(void*) {
  return fired == 3;
}
bool ten_beats(void* context) {
  return static_cast<Beat*>(context)->count >= 10;
}

}  // namespace

void ppvmm_main(const Start&) {
  ppvmm::test::Checks checks("timer");
  vitals::ready();

  Nanoseconds before = time::now();
  bool forward = true;
  for (int i = 0; i < 1000; ++i) {
    const Nanoseconds now = time::now();
    forward = forward && now >= before;
    before = now;
  }
  checks.expect(forward, "the clock never goes back");

  std::array<Shot, 4> shots{};
  const Nanoseconds start = time::now();
  constexpr std::array<Nanoseconds, 4> kAfter{30 * time::kMillisecond, 10 * time::kMillisecond,
                                              20 * time::kMillisecond, 15 * time::kMillisecond};
  Timer a(time::timers(), shoot, &shots[0]);
  Timer b(time::timers(), shoot, &shots[1]);
  Timer c(time::timers(), shoot, &shots[2]);
  Timer d(time::timers(), shoot, &shots[3]);
  a.once(start + kAfter[0]);
  b.once(start + kAfter[1]);
  c.once(start + kAfter[2]);
  d.once(start + kAfter[3]);
  d.cancel();
  checks.expect(events::run_until(three_shots, nullptr, start + 5 * time::kSecond), "all fire");
  checks.expect(shots[1].order == 1 && shots[2].order == 2 && shots[0].order == 3, "in order");
  checks.expect(shots[3].order == 0, "a cancelled one is silent");
  Nanoseconds latest = 0;
  bool early = false;
  for (std::size_t i = 0; i < 3; ++i) {
    const Nanoseconds due = start + kAfter[i];
    early = early || shots[i].at < due;
    latest = std::max(latest, shots[i].at - due);
  }
  checks.expect(!early, "none fires early");
  checks.note("latest_us", latest / time::kMicrosecond);

  Beat count;
  Timer periodic(time::timers(), beat, &count);
  constexpr Nanoseconds kPeriod = 5 * time::kMillisecond;
  const Nanoseconds first = time::now() + kPeriod;
  periodic.periodic(first, kPeriod);
  checks.expect(events::run_until(ten_beats, &count, first + 10 * time::kSecond), "ten beats");
  const Nanoseconds took = time::now() - first;
  periodic.cancel();
  // Beats are at first + n * period, so ten of them cannot take less than nine periods, and every
  // period that passed is either a beat or counted as missed.
  checks.expect(took >= 9 * kPeriod, "the beat is not too fast");
  const std::uint64_t passed = took / kPeriod + 1;
  checks.expect(count.count + periodic.missed() + 1 >= passed, "missed beats are counted");
  checks.note("beats_missed", periodic.missed());
  checks.expect(vitals::page().counts.timers >= 13, "timers are counted");
  checks.finish();
}

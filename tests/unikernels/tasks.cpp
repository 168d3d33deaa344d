/// Coroutine tasks on the real clock and the real event loop: sleeping, signalling, cancelling.
#include <optional>
#include <vector>

#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;
using task::Task;

/// Counts how many of it are alive, to see destructors run.
struct Guard {
  explicit Guard(int& count) : count_(&count) { ++*count_; }
  ~Guard() { --*count_; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  int* count_;
};

Task<int> slowly(int value) {
  co_await task::Sleep(time::timers(), time::now() + time::kMillisecond);
  co_return value;
}

Task<> adder(int& sum) {
  for (int i = 1; i <= 10; ++i)
    sum += co_await slowly(i);
}

Task<> waits_for_ever(task::Signal& signal, int& alive) {
  const Guard outer(alive);
  for (;;) {
    const Guard inner(alive);
    co_await signal.wait();
  }
}

Task<> nested(task::Signal& signal, int& alive) {
  const Guard guard(alive);
  co_await waits_for_ever(signal, alive);
}

Task<> speaker(task::Signal& signal, std::vector<int>& log, int name) {
  co_await signal.wait();
  log.push_back(name);
  co_await task::Reschedule{};
  log.push_back(name + 10);
}

bool is_done(void* root) {
  return static_cast<task::TaskRoot*>(root)->done();
}

}  // namespace

void ppvmm_main(const Start&) {
  ppvmm::test::Checks checks("tasks");
  vitals::ready();
  const auto heap_before = memory::statistics().in_use;
  {
    task::Scheduler& scheduler = task::scheduler();
    const auto component = vitals::component("adder");
    int sum = 0;
    task::TaskRoot root(scheduler, adder(sum), static_cast<std::uint32_t>(component));
    checks.expect(events::run_until(is_done, &root, time::now() + 5 * time::kSecond),
                  "a task that sleeps ends");
    checks.expect(sum == 55, "and gets its children's results");
    checks.expect(vitals::page().progress[static_cast<std::size_t>(component)].count >= 10,
                  "its progress is counted");

    task::Signal signal;
    int alive = 0;
    task::TaskRoot waiting(scheduler, nested(signal, alive));
    while (events::turn()) {
    }
    checks.expect(alive == 3, "nested tasks wait");
    signal.announce();
    while (events::turn()) {
    }
    checks.expect(alive == 3, "and wait again after a signal");
    waiting.cancel();
    checks.expect(alive == 0 && waiting.done(), "cancelling destroys all they own");
    signal.announce();
    checks.expect(scheduler.idle(), "a cancelled task is not woken");

    std::vector<int> log;
    task::TaskRoot first(scheduler, speaker(signal, log, 1));
    task::TaskRoot second(scheduler, speaker(signal, log, 2));
    while (events::turn()) {
    }
    signal.announce();
    while (events::turn()) {
    }
    checks.expect(log == std::vector<int>{1, 2, 11, 12}, "tasks take turns in order");
    checks.expect(scheduler.live_tasks() == 0, "none is left");
  }
  checks.expect(memory::statistics().in_use <= heap_before + 4096, "frames are given back");
  checks.finish();
}

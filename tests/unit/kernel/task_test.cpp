#include "kernel/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace ppvmm::kernel::task {
namespace {

struct Guard {
  explicit Guard(int& count) : count_(&count) { ++*count_; }
  ~Guard() { --*count_; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  int* count_;
};

Task<std::string> make(std::string text) {
  co_return text + "!";
}

Task<> await_two(std::string& out) {
  out += co_await make("a");
  out += co_await make("b");
}

TEST(Tasks, StartOnlyWhenTheSchedulerRuns) {
  Scheduler scheduler;
  std::string out;
  TaskRoot root(scheduler, await_two(out));
  EXPECT_EQ(out, "");
  EXPECT_FALSE(root.done());
  EXPECT_EQ(scheduler.run(), 1u);
  EXPECT_EQ(out, "a!b!");
  EXPECT_TRUE(root.done());
  EXPECT_EQ(scheduler.live_tasks(), 0u);
}

TEST(Tasks, OneThatNeverRanIsDestroyedCleanly) {
  Scheduler scheduler;
  std::string out;
  { TaskRoot root(scheduler, await_two(out)); }
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(out, "");
}

Task<> turns(std::string& out, char name, int count) {
  for (int i = 0; i < count; ++i) {
    out += name;
    co_await Reschedule{};
  }
}

TEST(Tasks, TakeTurns) {
  Scheduler scheduler;
  std::string out;
  TaskRoot a(scheduler, turns(out, 'a', 3));
  TaskRoot b(scheduler, turns(out, 'b', 2));
  while (scheduler.run() > 0) {
  }
  EXPECT_EQ(out, "ababa");
}

TEST(Tasks, ARunEndsThoughTasksStayReady) {
  Scheduler scheduler;
  std::string out;
  TaskRoot a(scheduler, turns(out, 'a', 100));
  EXPECT_EQ(scheduler.run(), 1u);
  EXPECT_EQ(scheduler.run(), 1u);
  EXPECT_EQ(out, "aa");
}

Task<> wait_inner(Signal& signal, int& alive, int& woken) {
  const Guard guard(alive);
  for (;;) {
    co_await signal.wait();
    ++woken;
  }
}
Task<> wait_outer(Signal& signal, int& alive, int& woken) {
  const Guard guard(alive);
  co_await wait_inner(signal, alive, woken);
}

TEST(Tasks, CancellingDestroysTheWholeChain) {
  Scheduler scheduler;
  Signal signal;
  int alive = 0;
  int woken = 0;
  TaskRoot root(scheduler, wait_outer(signal, alive, woken));
  scheduler.run();
  EXPECT_EQ(alive, 2);
  signal.announce();
  scheduler.run();
  EXPECT_EQ(woken, 1);
  root.cancel();
  EXPECT_EQ(alive, 0);
  signal.announce();
  EXPECT_EQ(scheduler.run(), 0u);
  EXPECT_EQ(woken, 1);
}

TEST(Tasks, CancellingOneThatIsReadyTakesItOutOfTheQueue) {
  Scheduler scheduler;
  Signal signal;
  int alive = 0;
  int woken = 0;
  TaskRoot first(scheduler, wait_outer(signal, alive, woken));
  TaskRoot second(scheduler, wait_outer(signal, alive, woken));
  scheduler.run();
  signal.announce();
  first.cancel();
  EXPECT_EQ(scheduler.run(), 1u);
  EXPECT_EQ(woken, 1);
}

Task<> cancel_other(TaskRoot*& other, bool& ran) {
  ran = true;
  other->cancel();
  co_return;
}

TEST(Tasks, MayCancelAnotherThatIsReadyInTheSameRun) {
  Scheduler scheduler;
  std::string out;
  bool ran = false;
  TaskRoot* victim = nullptr;
  TaskRoot killer(scheduler, cancel_other(victim, ran));
  TaskRoot root(scheduler, turns(out, 'x', 5));
  victim = &root;
  while (scheduler.run() > 0) {
  }
  EXPECT_TRUE(ran);
  EXPECT_EQ(out, "");
}

struct Own {
  TaskRoot* root{};
};
Task<> cancel_self(Own& own, int& alive, bool& after) {
  const Guard guard(alive);
  own.root->cancel();
  co_await Reschedule{};
  after = true;
}

TEST(Tasks, CancellingItselfTakesEffectAtTheNextWait) {
  Scheduler scheduler;
  Own own;
  int alive = 0;
  bool after = false;
  TaskRoot root(scheduler, cancel_self(own, alive, after));
  own.root = &root;
  while (scheduler.run() > 0) {
  }
  EXPECT_FALSE(after);
  EXPECT_EQ(alive, 0);
  EXPECT_TRUE(root.done());
}

Task<> sleeper(TimerQueue& queue, Nanoseconds until, std::vector<int>& log, int name) {
  co_await Sleep(queue, until);
  log.push_back(name);
}

TEST(Tasks, SleepOnAClockOfTheTest) {
  Scheduler scheduler;
  TimerQueue queue;
  std::vector<int> log;
  TaskRoot late(scheduler, sleeper(queue, 200, log, 2));
  TaskRoot soon(scheduler, sleeper(queue, 100, log, 1));
  scheduler.run();
  EXPECT_EQ(queue.next(), 100u);
  queue.fire(100);
  scheduler.run();
  EXPECT_EQ(log, std::vector{1});
  late.cancel();
  EXPECT_FALSE(queue.next()) << "a cancelled sleeper leaves no timer";
}

std::vector<std::pair<std::uint32_t, bool>> observed;

TEST(Tasks, TheObserverSeesWhichComponentRuns) {
  observed.clear();
  Scheduler scheduler(
      [](std::uint32_t component, bool begins) { observed.emplace_back(component, begins); });
  std::string out;
  TaskRoot root(scheduler, turns(out, 'a', 1), 5);
  scheduler.run();
  EXPECT_EQ(observed, (std::vector<std::pair<std::uint32_t, bool>>{{5, true}, {5, false}}));
}

}  // namespace
}  // namespace ppvmm::kernel::task

#include "kernel/timers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace ppvmm::kernel {
namespace {

struct Log {
  std::vector<int>* out;
  int name;
};
void note(void* context) {
  const Log& log = *static_cast<Log*>(context);
  log.out->push_back(log.name);
}

TEST(Timers, FireInOrderOfTheirDeadlines) {
  TimerQueue queue;
  std::vector<int> fired;
  Log one{&fired, 1};
  Log two{&fired, 2};
  Log three{&fired, 3};
  Timer a(queue, note, &one);
  Timer b(queue, note, &two);
  Timer c(queue, note, &three);
  a.once(30);
  b.once(10);
  c.once(20);
  EXPECT_EQ(queue.next(), 10u);
  EXPECT_EQ(queue.fire(9), 0u);
  EXPECT_EQ(queue.fire(25), 2u);
  EXPECT_EQ(queue.fire(30), 1u);
  EXPECT_EQ(fired, (std::vector{2, 3, 1}));
  EXPECT_FALSE(queue.next());
}

TEST(Timers, CancelledAndDestroyedOnesAreSilent) {
  TimerQueue queue;
  std::vector<int> fired;
  Log log{&fired, 1};
  Timer kept(queue, note, &log);
  kept.once(5);
  {
    Timer gone(queue, note, &log);
    gone.once(5);
    EXPECT_EQ(queue.armed(), 2u);
  }
  EXPECT_EQ(queue.armed(), 1u);
  kept.cancel();
  EXPECT_FALSE(kept.armed());
  EXPECT_EQ(queue.fire(100), 0u);
}

TEST(Timers, ArmingAgainReplaces) {
  TimerQueue queue;
  std::vector<int> fired;
  Log log{&fired, 1};
  Timer timer(queue, note, &log);
  timer.once(5);
  timer.once(50);
  EXPECT_EQ(queue.armed(), 1u);
  EXPECT_EQ(queue.fire(10), 0u);
  EXPECT_EQ(queue.fire(50), 1u);
}

TEST(Timers, PeriodicOnesSkipWhatTheyMissed) {
  TimerQueue queue;
  std::vector<int> fired;
  Log log{&fired, 1};
  Timer timer(queue, note, &log);
  timer.periodic(10, 10);
  EXPECT_EQ(queue.fire(10), 1u);
  EXPECT_EQ(timer.deadline(), 20u);
  EXPECT_EQ(queue.fire(55), 1u) << "no burst";
  EXPECT_EQ(timer.missed(), 3u);
  EXPECT_EQ(timer.deadline(), 60u) << "the beat stays";
}

TEST(Timers, OneThatRearmsItselfForNowDoesNotStopTheWorld) {
  TimerQueue queue;
  struct Eager {
    Timer* timer{};
    int count{};
  } eager;
  Timer timer(
      queue,
      [](void* context) {
        auto& self = *static_cast<Eager*>(context);
        ++self.count;
        self.timer->once(0);
      },
      &eager);
  eager.timer = &timer;
  timer.once(0);
  EXPECT_EQ(queue.fire(100), 1u);
  EXPECT_EQ(queue.fire(100), 1u);
  EXPECT_EQ(eager.count, 2);
}

TEST(Timers, ACallbackMayCancelTheOthers) {
  TimerQueue queue;
  std::vector<int> fired;
  Log log{&fired, 2};
  Timer second(queue, note, &log);
  Timer first(
      queue, [](void* other) { static_cast<Timer*>(other)->cancel(); }, &second);
  first.once(1);
  second.once(2);
  EXPECT_EQ(queue.fire(10), 1u);
  EXPECT_TRUE(fired.empty());
}

TEST(Timers, ManyAtRandomComeOutSorted) {
  std::mt19937 random(42);
  TimerQueue queue;
  std::vector<int> fired;
  std::vector<std::unique_ptr<Log>> logs;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<std::pair<Nanoseconds, int>> expected;
  for (int i = 0; i < 2000; ++i) {
    logs.push_back(std::make_unique<Log>(Log{&fired, i}));
    timers.push_back(std::make_unique<Timer>(queue, note, logs.back().get()));
    timers.back()->once(random() % 100'000);
  }
  for (int i = 0; i < 500; ++i)
    timers[random() % timers.size()]->cancel();
  for (int i = 0; i < 2000; ++i) {
    const Timer& timer = *timers[static_cast<std::size_t>(i)];
    if (timer.armed()) expected.emplace_back(timer.deadline(), i);
  }
  while (const auto next = queue.next())
    queue.fire(*next);
  ASSERT_EQ(fired.size(), expected.size());
  Nanoseconds last = 0;
  for (const int name : fired) {
    const Nanoseconds deadline = timers[static_cast<std::size_t>(name)]->deadline();
    ASSERT_GE(deadline, last);
    last = deadline;
  }
}

}  // namespace
}  // namespace ppvmm::kernel

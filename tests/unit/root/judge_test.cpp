#include "root/judge.hpp"

#include <gtest/gtest.h>

namespace ppvmm::root {
namespace {

constexpr Patience kPatience{
    .start_ns = 1000, .silence_ns = 100, .idle_ns = 10'000, .answer_ns = 50};

Observation ready_at(std::uint64_t now, std::uint64_t progress) {
  Observation seen;
  seen.now_ns = now;
  seen.exists = true;
  seen.state = abi::LifeState::ready;
  seen.incarnation = 1;
  seen.progress = progress;
  return seen;
}

TEST(Judge, ProgressIsASignOfLife) {
  Judge judge(kPatience);
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(judge.observe(ready_at(i * 90, i)), Health::working);
  }
}

TEST(Judge, BusySilenceIsPingedAndThenCalledAHang) {
  Judge judge(kPatience);
  EXPECT_EQ(judge.observe(ready_at(0, 1)), Health::working);
  EXPECT_EQ(judge.observe(ready_at(100, 1)), Health::working);
  EXPECT_EQ(judge.observe(ready_at(101, 1)), Health::silent);
  Observation pinged = ready_at(110, 1);
  pinged.ping = 1;
  EXPECT_EQ(judge.observe(pinged), Health::working);
  pinged.now_ns = 160;
  EXPECT_EQ(judge.observe(pinged), Health::working);
  pinged.now_ns = 161;
  EXPECT_EQ(judge.observe(pinged), Health::hung);
}

TEST(Judge, AnAnsweredPingStartsTheSilenceAnew) {
  Judge judge(kPatience);
  static_cast<void>(judge.observe(ready_at(0, 1)));
  EXPECT_EQ(judge.observe(ready_at(101, 1)), Health::silent);
  Observation answered = ready_at(120, 1);
  answered.ping = answered.pong = 1;
  EXPECT_EQ(judge.observe(answered), Health::working);
  answered.now_ns = 220;
  EXPECT_EQ(judge.observe(answered), Health::working);
  answered.now_ns = 221;
  EXPECT_EQ(judge.observe(answered), Health::silent);
}

TEST(Judge, OneThatSleepsWithNothingToDoIsLeftAlone) {
  Judge judge(kPatience);
  Observation asleep = ready_at(0, 1);
  asleep.asleep = true;
  EXPECT_EQ(judge.observe(asleep), Health::working);
  asleep.now_ns = 10'000;
  EXPECT_EQ(judge.observe(asleep), Health::working);
  asleep.now_ns = 10'001;
  EXPECT_EQ(judge.observe(asleep), Health::silent);
}

TEST(Judge, SleepingWithWorkWaitingIsSilence) {
  Judge judge(kPatience);
  Observation asleep = ready_at(0, 1);
  asleep.asleep = true;
  asleep.waiting = 1;
  EXPECT_EQ(judge.observe(asleep), Health::working);
  asleep.now_ns = 101;
  EXPECT_EQ(judge.observe(asleep), Health::silent);
}

TEST(Judge, OneThatXenHasAtRestIsNotAskedButSoonCalledHung) {
  Judge judge(kPatience);
  static_cast<void>(judge.observe(ready_at(0, 1)));
  Observation paused = ready_at(5, 1);
  paused.asleep = paused.paused = true;
  EXPECT_EQ(judge.observe(paused), Health::working);
  paused.now_ns = 30;
  EXPECT_EQ(judge.observe(paused), Health::working);
  paused.now_ns = 31;
  EXPECT_EQ(judge.observe(paused), Health::hung);
}

TEST(Judge, AShortPauseIsNoHang) {
  Judge judge(kPatience);
  static_cast<void>(judge.observe(ready_at(0, 1)));
  for (std::uint64_t now = 5; now < 100; now += 20) {
    Observation seen = ready_at(now, 1);
    seen.asleep = true;
    seen.paused = now % 40 == 5;
    EXPECT_EQ(judge.observe(seen), Health::working) << now;
  }
}

TEST(Judge, StartingMustEnd) {
  Judge judge(kPatience);
  Observation seen = ready_at(0, 0);
  seen.state = abi::LifeState::booting;
  EXPECT_EQ(judge.observe(seen), Health::starting);
  seen.now_ns = 1000;
  EXPECT_EQ(judge.observe(seen), Health::starting);
  seen.now_ns = 1001;
  EXPECT_EQ(judge.observe(seen), Health::hung);
}

TEST(Judge, AStoppedOneIsToldApartByItsRecord) {
  Judge judge(kPatience);
  Observation seen = ready_at(0, 1);
  seen.stopped = seen.crashed = true;
  EXPECT_EQ(judge.observe(seen), Health::dead);
  seen.fault = abi::FaultKind::trap;
  EXPECT_EQ(judge.observe(seen), Health::faulted);
  seen.state = abi::LifeState::lost;
  EXPECT_EQ(judge.observe(seen), Health::lost);
  seen.state = abi::LifeState::stopping;
  seen.crashed = false;
  EXPECT_EQ(judge.observe(seen), Health::stopped);
  seen.exists = false;
  EXPECT_EQ(judge.observe(seen), Health::gone);
}

TEST(Escalation, GoesFromCheapToDearAndThenGivesUp) {
  Escalation escalation({.microreboots = 2, .rebuilds = 1, .window_ns = 1000});
  EXPECT_EQ(escalation.decide(Health::faulted, 0), Repair::microreboot);
  EXPECT_EQ(escalation.decide(Health::hung, 10), Repair::microreboot);
  EXPECT_EQ(escalation.decide(Health::faulted, 20), Repair::rebuild);
  EXPECT_EQ(escalation.decide(Health::faulted, 30), Repair::give_up);
}

TEST(Escalation, OldRepairsAreForgotten) {
  Escalation escalation({.microreboots = 1, .rebuilds = 1, .window_ns = 1000});
  EXPECT_EQ(escalation.decide(Health::faulted, 0), Repair::microreboot);
  EXPECT_EQ(escalation.decide(Health::faulted, 1001), Repair::microreboot);
}

TEST(Escalation, WhatCannotBeReenteredIsRebuilt) {
  Escalation escalation({});
  EXPECT_EQ(escalation.decide(Health::dead, 0), Repair::rebuild);
  EXPECT_EQ(escalation.decide(Health::lost, 1), Repair::rebuild);
  EXPECT_EQ(escalation.decide(Health::working, 2), Repair::none);
  EXPECT_EQ(escalation.decide(Health::stopped, 3), Repair::none);
}

}  // namespace
}  // namespace ppvmm::root

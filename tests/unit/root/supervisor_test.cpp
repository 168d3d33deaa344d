#include <gtest/gtest.h>

#include <cstdlib>

#include "simulated_host.hpp"

namespace ppvmm::root::daemon::test {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

void run(SimHost& host, std::size_t steps) {
  for (std::size_t i = 0; i < steps; ++i)
    host.step();
}

SimHost quiet_host() {
  SimHost host(1);
  host.accidents = false;
  return host;
}

const Incident& last(SimHost& host, const char* unit) {
  static const Incident none{};
  const Incident* const found = host.history().last_of(unit);
  EXPECT_NE(found, nullptr) << unit;
  return found != nullptr ? *found : none;
}

TEST(Supervisor, LeavesAHealthyHostAlone) {
  SimHost host = quiet_host();
  run(host, 2000);
  EXPECT_TRUE(host.history().incidents().empty());
  EXPECT_EQ(host.microreboots + host.builds, 0U);
}

TEST(Supervisor, ACrashIsMicrorebootedAtOnce) {
  SimHost host = quiet_host();
  run(host, 5);
  host.domain(3).state = abi::LifeState::dead;
  host.domain(3).fault = abi::FaultKind::trap;
  host.domain(3).fault_incarnation = 1;
  const std::uint64_t before = host.now();
  run(host, 10);
  EXPECT_EQ(host.unsettled(), "");
  EXPECT_EQ(host.microreboots, 1U);
  EXPECT_EQ(host.builds, 0U);
  EXPECT_EQ(last(host, "net").cause, "crash");
  EXPECT_EQ(last(host, "net").seen_ns, before + kMs);
  EXPECT_EQ(last(host, "net").outcome, Outcome::repaired);
}

TEST(Supervisor, AHangIsFoundWithin20Ms) {
  SimHost host = quiet_host();
  run(host, 50);
  host.domain(0).hung = true;
  const std::uint64_t before = host.now();
  run(host, 40);
  EXPECT_EQ(host.unsettled(), "");
  EXPECT_EQ(last(host, "store").cause, "hang");
  EXPECT_LE(last(host, "store").seen_ns - before, 20 * kMs);
}

TEST(Supervisor, OneSilenceIsOnePing) {
  History history;
  Supervisor root(history);
  UnitInfo info;
  info.name = "x";
  info.policy = *preset("fg");
  const UnitId id = root.add(info, 0);
  Observation seen;
  seen.exists = true;
  seen.state = abi::LifeState::ready;
  seen.incarnation = 1;
  root.observe(id, seen);
  seen.now_ns = 7 * kMs;
  root.observe(id, seen);
  root.decide(seen.now_ns);
  EXPECT_EQ(root.take_actions().size(), 1U);
  root.decide(seen.now_ns);
  EXPECT_TRUE(root.take_actions().empty());
}

TEST(Supervisor, ADestroyedPrimaryIsBuiltAnewUnderItsId) {
  SimHost host = quiet_host();
  run(host, 5);
  host.domain(0).dying = true;
  run(host, 20);
  EXPECT_EQ(host.unsettled(), "");
  EXPECT_EQ(host.builds, 1U);
  EXPECT_EQ(last(host, "store").cause, "destroyed");
}

TEST(Supervisor, ABackupIsDetachedBeforeItsDomainEndsAndAttachedAfterwards) {
  SimHost host = quiet_host();
  run(host, 5);
  host.domain(2).dying = true;
  run(host, 40);
  EXPECT_EQ(host.unsettled(), "");
  const Incident& incident = last(host, "store-backup-1");
  std::vector<std::string> steps;
  for (const RepairStep& step : incident.steps)
    steps.push_back(step.what);
  EXPECT_EQ(steps, (std::vector<std::string>{"detach", "rebuild", "attach", "fill"}));
}

TEST(Supervisor, ABackupWaitsForThePrimary) {
  SimHost host = quiet_host();
  run(host, 5);
  host.domain(0).dying = true;
  host.domain(1).dying = true;
  host.domain(2).dying = true;
  run(host, 100);
  EXPECT_EQ(host.unsettled(), "");
  EXPECT_LT(last(host, "store").repaired_ns, last(host, "store-backup-0").repaired_ns);
  EXPECT_LT(last(host, "store").repaired_ns, last(host, "store-backup-1").repaired_ns);
  EXPECT_TRUE(host.wrong().empty());
}

TEST(Supervisor, EverythingDownIsRepairedInItsOrder) {
  SimHost host = quiet_host();
  run(host, 5);
  for (std::size_t unit = 0; unit < SimHost::kUnits; ++unit)
    host.domain(unit).dying = true;
  run(host, 100);
  EXPECT_EQ(host.unsettled(), "");
  EXPECT_LE(last(host, "store").repaired_ns, last(host, "net").steps.front().begin_ns);
  EXPECT_LE(last(host, "net").repaired_ns, last(host, "tool").steps.front().begin_ns);
}

TEST(Supervisor, OneThatKeepsDyingIsGivenUpLoudly) {
  SimHost host = quiet_host();
  for (std::size_t i = 0; i < 400; ++i) {
    if (host.domain(3).serves()) host.domain(3).dying = true;
    host.step();
  }
  EXPECT_EQ(host.root().status(host.id(3)).phase, Phase::given_up);
  EXPECT_EQ(last(host, "net").outcome, Outcome::stopped);
  EXPECT_EQ(host.builds, preset("fg")->limits.rebuilds);
  // The tool that needs it is not held back for ever.
  host.domain(4).dying = true;
  run(host, 20);
  EXPECT_TRUE(host.domain(4).serves());
}

TEST(Supervisor, AnInjectionIsTiedToItsIncidentWhoeverIsFirst) {
  SimHost host = quiet_host();
  run(host, 5);
  host.history().injected("net", "destroy", host.now());
  host.domain(3).dying = true;
  run(host, 20);
  EXPECT_EQ(last(host, "net").injected_what, "destroy");
  const std::uint64_t second = host.now();
  host.domain(3).dying = true;
  run(host, 20);
  host.history().injected("net", "again", second);
  EXPECT_EQ(last(host, "net").injected_ns, second);
  EXPECT_TRUE(host.history().unseen().empty());
}

TEST(Supervisor, WithoutDetectionOnlyTheClockRepairs) {
  History history;
  Supervisor root(history);
  UnitInfo info;
  info.name = "x";
  info.policy = *preset("xoar");
  const UnitId id = root.add(info, 0);
  Observation seen;
  seen.exists = true;
  seen.stopped = seen.crashed = true;
  seen.incarnation = 1;
  const std::uint64_t period = info.policy.refresh_ns;
  for (std::uint64_t now = 0; now < period; now += kMs) {
    seen.now_ns = now;
    root.observe(id, seen);
    root.decide(now);
    ASSERT_TRUE(root.take_actions().empty()) << now;
  }
  seen.now_ns = period;
  root.observe(id, seen);
  root.decide(period);
  const auto actions = root.take_actions();
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(actions[0].act, Act::microreboot);
  EXPECT_EQ(actions[0].words, info.policy.words);
}

TEST(Supervisor, AfterAllReplicasWereLostTheSetStopsLoudly) {
  SimHost host = quiet_host();
  run(host, 5);
  host.root().notice(host.id(0),
                     {.time_ns = host.now(),
                      .kind = static_cast<std::uint32_t>(abi::xenstore_set::Notice::all_lost)});
  run(host, 5);
  EXPECT_EQ(host.root().status(host.id(0)).phase, Phase::given_up);
  EXPECT_NE(last(host, "store").detail.find("ALL REPLICAS LOST"), std::string::npos);
  // An operator may try again.
  EXPECT_TRUE(host.root().order(host.id(0), Repair::rebuild, host.now()));
  run(host, 50);
  EXPECT_EQ(host.unsettled(), "");
}

/// Faults of every kind at random times, root's own death among them; then time to recover.
class SupervisorSimulation : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(SupervisorSimulation, EndsRepairedOrLoudlyStoppedAndNeverBreaksARule) {
  SimHost host(GetParam());
  simulation::Random random(GetParam() ^ 0xABCDEF);
  for (std::size_t i = 0; i < 4000; ++i) {
    if (random.chance(2)) host.harm();
    host.step();
    ASSERT_TRUE(host.wrong().empty()) << "seed " << GetParam() << ", " << host.wrong().front();
  }
  host.accidents = false;
  // The longest wait of all is for a backup that nobody reports as filled.
  std::size_t left = 15'000;
  while (left > 0 && !host.unsettled().empty()) {
    host.step();
    --left;
  }
  EXPECT_EQ(host.unsettled(), "") << "seed " << GetParam();
  EXPECT_TRUE(host.wrong().empty()) << "seed " << GetParam() << ", " << host.wrong().front();
  EXPECT_GT(host.microreboots + host.builds, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SupervisorSimulation, ::testing::Range<std::uint64_t>(1, 1001));

}  // namespace
}  // namespace ppvmm::root::daemon::test

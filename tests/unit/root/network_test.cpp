// What the supervisor makes of net_uk's notices, and of a net_uk that has a spare.
#include <gtest/gtest.h>

#include <algorithm>

#include "abi/net_uk.hpp"
#include "root/daemon/supervisor.hpp"
#include "root/pci_assign.hpp"

namespace ppvmm::root::daemon::test {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
using abi::net_uk::Notice;
using abi::net_uk::Part;
using abi::net_uk::Trouble;

Observation well(std::uint64_t now_ns, std::uint32_t incarnation = 1) {
  Observation seen;
  seen.now_ns = now_ns;
  seen.exists = true;
  seen.state = abi::LifeState::ready;
  seen.incarnation = incarnation;
  seen.progress = now_ns;
  seen.asleep = true;
  return seen;
}

UnitInfo network(const std::string& name, std::uint16_t domid, Policy policy) {
  UnitInfo info;
  info.name = name;
  info.domid = domid;
  info.policy = std::move(policy);
  info.driver_domain = true;
  info.bus = true;
  info.after = {"store"};
  return info;
}

UnitInfo store() {
  UnitInfo info;
  info.name = "store";
  info.domid = 1;
  info.xenstore = true;
  info.policy = *preset("fg");
  return info;
}

std::vector<Act> acts_of(const std::vector<Action>& actions, UnitId unit) {
  std::vector<Act> acts;
  for (const Action& action : actions) {
    if (action.unit == unit) acts.push_back(action.act);
  }
  return acts;
}

TEST(Network, APartThatRepairedItselfIsAWholeIncident) {
  History history;
  Supervisor root(history);
  const UnitId id = root.add(network("net", 5, *preset("fg")), 0);
  history.injected("net", "driver memory", 3 * kMs);
  root.notice(id, {.time_ns = 10 * kMs,
                   .kind = static_cast<std::uint32_t>(Notice::part_repaired),
                   .subject = subject_of(Part::driver, Trouble::died),
                   .value = 2 * kMs});
  const Incident* const seen = history.last_of("net");
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->cause, "driver died");
  EXPECT_EQ(seen->outcome, Outcome::repaired);
  EXPECT_EQ(seen->injected_ns, 3 * kMs);
  EXPECT_EQ(seen->seen_ns, 8 * kMs);
  EXPECT_EQ(seen->repaired_ns, 10 * kMs);
  EXPECT_EQ(root.status(id).parts.at("driver"), 1U);
  EXPECT_EQ(root.status(id).microreboots, 0U);
  root.notice(id, {.time_ns = 20 * kMs,
                   .kind = static_cast<std::uint32_t>(Notice::part_repaired),
                   .subject = subject_of(Part::netback, Trouble::stuck),
                   .value = kMs});
  EXPECT_EQ(history.last_of("net")->cause, "netback stuck");
  EXPECT_EQ(root.status(id).parts.at("netback"), 1U);
}

TEST(Network, InPlaceItWaitsForNobodyAndARebuildWaitsForTheStore) {
  History history;
  Supervisor root(history);
  const UnitId xenstore = root.add(store(), 0);
  const UnitId net = root.add(network("net", 5, *preset("fg")), 0);
  Observation crashed = well(kMs);
  crashed.state = abi::LifeState::dead;
  crashed.fault = abi::FaultKind::trap;
  root.observe(xenstore, crashed);
  root.observe(net, crashed);
  root.decide(kMs);
  auto actions = root.take_actions();
  EXPECT_EQ(acts_of(actions, xenstore), std::vector<Act>{Act::microreboot});
  EXPECT_EQ(acts_of(actions, net), std::vector<Act>{Act::microreboot});
  for (const Action& action : actions)
    root.acted(action, {.ok = true}, 2 * kMs);
  // Its domain goes while the store is not back yet.
  Observation gone;
  gone.now_ns = 3 * kMs;
  root.observe(net, gone);
  root.decide(3 * kMs);
  EXPECT_TRUE(acts_of(root.take_actions(), net).empty());
  root.observe(xenstore, well(4 * kMs, 2));
  root.decide(4 * kMs);
  root.decide(4 * kMs);
  EXPECT_EQ(acts_of(root.take_actions(), net), (std::vector<Act>{Act::remember, Act::destroy}));
}

TEST(Network, ItsPlaceInXenStoreIsPartOfARebuild) {
  History history;
  Supervisor root(history);
  const UnitId net = root.add(network("net", 5, *preset("fg")), 0);
  Observation gone;
  gone.now_ns = kMs;
  root.observe(net, gone);
  root.decide(kMs);
  EXPECT_EQ(acts_of(root.take_actions(), net), (std::vector<Act>{Act::remember, Act::destroy}));
  root.observe(net, gone);
  root.decide(2 * kMs);
  auto actions = root.take_actions();
  ASSERT_EQ(acts_of(actions, net), std::vector<Act>{Act::build});
  root.acted(actions.front(), {.ok = true}, 3 * kMs);
  // A root that starts now must not take the half-made domain for a whole one.
  EXPECT_TRUE(root.info(net).rebuilding);
  // It cannot start: tried again, and loudly stopped when that never helps.
  for (std::uint64_t now = 4 * kMs; root.status(net).phase != Phase::given_up; now += kMs) {
    ASSERT_LT(now, 1000 * kMs);
    root.cannot_start(net, "XenStore says no", now);
    root.observe(net, gone);
    root.decide(now);
    for (const Action& action : root.take_actions())
      root.acted(action, {.ok = true}, now);
  }
  EXPECT_EQ(history.last_of("net")->outcome, Outcome::stopped);
  EXPECT_EQ(history.last_of("net")->steps.at(1).what, "join");
  EXPECT_EQ(history.last_of("net")->steps.at(1).problem, "XenStore says no");
}

TEST(Network, WithASpareItsVifsMoveAndItIsBuiltAnew) {
  History history;
  Supervisor root(history);
  Policy policy = *preset("tfd");
  policy.spare = "spare";
  const UnitId net = root.add(network("net", 5, policy), 0);
  policy.spare = "net";
  const UnitId spare = root.add(network("spare", 6, policy), 0);
  root.observe(spare, well(kMs));
  Observation crashed = well(kMs);
  crashed.state = abi::LifeState::dead;
  crashed.fault = abi::FaultKind::trap;
  root.observe(net, crashed);
  root.decide(kMs);
  const auto actions = root.take_actions();
  EXPECT_EQ(acts_of(actions, net), (std::vector<Act>{Act::move, Act::remember, Act::destroy}));
  const auto move = std::ranges::find(actions, Act::move, &Action::act);
  ASSERT_NE(move, actions.end());
  EXPECT_EQ(move->words, "spare");
  const auto told = std::ranges::find(actions, Act::command, &Action::act);
  ASSERT_NE(told, actions.end());
  EXPECT_EQ(told->unit, spare);
  EXPECT_EQ(told->subject, 5U);
}

TEST(Network, NothingIsMovedToASpareThatIsIll) {
  History history;
  Supervisor root(history);
  Policy policy = *preset("tfd");
  policy.spare = "spare";
  const UnitId net = root.add(network("net", 5, policy), 0);
  const UnitId spare = root.add(network("spare", 6, *preset("fg")), 0);
  Observation crashed = well(kMs);
  crashed.state = abi::LifeState::dead;
  crashed.fault = abi::FaultKind::trap;
  root.observe(net, crashed);
  root.observe(spare, crashed);
  root.decide(kMs);
  EXPECT_EQ(acts_of(root.take_actions(), net), (std::vector<Act>{Act::remember, Act::destroy}));
}

TEST(PciAddress, IsReadAsLinuxWritesIt) {
  const auto whole = parse_pci_address("0001:0a:1f.7");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->text(), "0001:0a:1f.7");
  EXPECT_EQ(whole->machine_bdf(), 0x10AFFU);
  const auto brief = parse_pci_address("00:10.0");
  ASSERT_TRUE(brief);
  EXPECT_EQ(brief->text(), "0000:00:10.0");
  for (const char* const wrong : {"", "00", "00:10", "00:20.0", "00:10.8", "0:0:0:0.0", "00:10.0 ",
                                  "10000:00:10.0", "xx:10.0", "00:10.", ":10.0"}) {
    EXPECT_FALSE(parse_pci_address(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace ppvmm::root::daemon::test

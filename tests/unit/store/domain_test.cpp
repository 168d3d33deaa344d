// Domains: introduction, release, death, rebirth, and what an administrator sees of them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

using Events = std::vector<Event>;
using store::Effect;
using store::IntroduceResult;

class DomainTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(world.dom0.control({"check"}), Result("OK")); }

  World world;
  Machine& machine = world.machine;
  MachineClient& dom0 = world.dom0;
};

TEST_F(DomainTest, IntroductionWaitsForTheShell) {
  (void)dom0.send(MessageType::introduce, strings({"7", "4660", "33"}));
  const auto read = dom0.send(MessageType::read, strings({"/"}));
  EXPECT_FALSE(dom0.next_reply());
  EXPECT_FALSE(machine.connection_of(7));
  const auto effects = machine.take_effects();
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(effects[0].kind, Effect::Kind::attach_domain);
  EXPECT_EQ(effects[0].domid, 7);
  EXPECT_EQ(effects[0].gfn, 4660U);
  EXPECT_EQ(effects[0].port, 33U);
  machine.introduced(7, IntroduceResult::attached);
  const auto answer = dom0.next_reply();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.type, MessageType::introduce);
  const auto next = dom0.next_reply();
  ASSERT_TRUE(next) << "requests behind it are served now";
  EXPECT_EQ(next->header.request_id, read);
  EXPECT_EQ(machine.domains(), std::vector<DomId>{7});
  EXPECT_EQ(dom0.is_introduced(7), Result("T"));
  EXPECT_EQ(dom0.is_introduced(8), Result("F"));
  EXPECT_EQ(dom0.is_introduced(0x7FF0), Result("T")) << "DOMID_SELF";
}

TEST_F(DomainTest, AFailedIntroductionIsToldToTheClient) {
  for (const auto result : {IntroduceResult::bad_ring, IntroduceResult::bad_port}) {
    (void)dom0.send(MessageType::introduce, strings({"7", "1", "1"}));
    (void)machine.take_effects();
    machine.introduced(7, result);
    const auto answer = dom0.next_reply();
    ASSERT_TRUE(answer);
    EXPECT_STREQ(answer->payload.c_str(), "EINVAL");
    EXPECT_EQ(dom0.is_introduced(7), Result("F"));
  }
  EXPECT_EQ(machine.known_domains(), std::vector<DomId>{0});
}

TEST_F(DomainTest, MalformedIntroductions) {
  for (const auto& payload :
       {strings({"7", "1"}), strings({"x", "1", "1"}), strings({"7", "1", "0"}),
        strings({"7", "1", "-1"}), strings({"0", "1", "1"}), strings({"32752", "1", "1"}),
        strings({"70000", "1", "1"}), std::string()}) {
    EXPECT_EQ(dom0.call(MessageType::introduce, payload), failure("EINVAL")) << payload;
  }
  EXPECT_TRUE(machine.take_effects().empty());
}

TEST_F(DomainTest, IntroducedAgainStartsTheConnectionAnew) {
  MachineClient before = world.create_guest(7);
  EXPECT_EQ(before.write("kept", "1"), kOk);
  EXPECT_EQ(before.watch("kept", "t"), kOk);
  const auto tx = before.start();
  EXPECT_NE(tx, 0U);
  (void)dom0.send(MessageType::introduce, strings({"7", "1", "2"}));
  const auto effects = world.carry_out_effects();
  ASSERT_EQ(effects.size(), 2U);
  EXPECT_EQ(effects[0].kind, Effect::Kind::detach_domain);
  EXPECT_EQ(effects[1].kind, Effect::Kind::attach_domain);
  EXPECT_EQ(effects[1].port, 2U);
  EXPECT_TRUE(dom0.next_reply());
  MachineClient after = world.guest(7);
  EXPECT_NE(after.connection(), before.connection());
  EXPECT_EQ(before.read("kept"), failure("no answer")) << "the old connection is dead";
  EXPECT_EQ(after.read("kept"), Result("1"));
  EXPECT_EQ(after.commit(tx), failure("ENOENT"));
  EXPECT_EQ(machine.statistics().watches, 0U);
}

TEST_F(DomainTest, TwoIntroductionsAtOnceAreBothAnswered) {
  MachineClient other = world.connect();
  (void)dom0.send(MessageType::introduce, strings({"7", "1", "1"}));
  (void)other.send(MessageType::introduce, strings({"7", "1", "2"}));
  EXPECT_EQ(world.carry_out_effects().size(), 3U) << "attach, detach, attach";
  EXPECT_TRUE(dom0.next_reply());
  EXPECT_TRUE(other.next_reply());
  EXPECT_TRUE(machine.connection_of(7));
}

TEST_F(DomainTest, DeathDuringIntroduction) {
  (void)dom0.send(MessageType::introduce, strings({"7", "1", "1"}));
  EXPECT_EQ(machine.take_effects().size(), 1U);
  machine.domain_dead(7);
  const auto answer = dom0.next_reply();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.type, MessageType::error);
  const auto effects = machine.take_effects();
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(effects[0].kind, Effect::Kind::detach_domain);
  machine.introduced(7, IntroduceResult::attached);
  EXPECT_FALSE(machine.connection_of(7)) << "the report came too late";
  (void)world.introduce(7);
  EXPECT_TRUE(machine.connection_of(7));
}

TEST_F(DomainTest, ReleaseAndResumeWantAnIntroducedGuest) {
  EXPECT_EQ(dom0.release(0), failure("EINVAL"));
  EXPECT_EQ(dom0.resume(0), failure("EINVAL"));
  EXPECT_EQ(dom0.release(7), failure("ENOENT"));
  EXPECT_EQ(dom0.resume(7), failure("ENOENT"));
  EXPECT_EQ(dom0.call(MessageType::release, strings({"x"})), failure("EINVAL"));
  EXPECT_EQ(dom0.call(MessageType::release, "7"), failure("EINVAL"));
}

TEST_F(DomainTest, GuestsMayNotManageDomains) {
  MachineClient guest = world.create_guest(7);
  EXPECT_EQ(guest.call(MessageType::introduce, strings({"8", "1", "1"})), failure("EACCES"));
  EXPECT_EQ(guest.release(7), failure("EACCES"));
  EXPECT_EQ(guest.resume(7), failure("EACCES"));
  EXPECT_EQ(guest.set_target(7, 7), failure("EACCES"));
  EXPECT_EQ(guest.is_introduced(7), failure("EACCES"));
  EXPECT_EQ(guest.control({"help"}), failure("EACCES"));
  EXPECT_EQ(guest.call(MessageType::get_domain_path, strings({"9"})),
            Result(std::string("/local/domain/9\0", 16)));
}

TEST_F(DomainTest, TheTargetsRightsAreLent) {
  MachineClient stub = world.create_guest(7);
  MachineClient guest = world.create_guest(8);
  EXPECT_EQ(guest.write("x", "1"), kOk);
  EXPECT_EQ(stub.read("/local/domain/8/x"), failure("EACCES"));
  EXPECT_EQ(dom0.set_target(7, 9), failure("ENOENT"));
  EXPECT_EQ(dom0.set_target(7, 8), kOk);
  EXPECT_EQ(stub.read("/local/domain/8/x"), Result("1"));
  EXPECT_EQ(stub.write("/local/domain/8/x", "2"), kOk);
  EXPECT_EQ(guest.read("/local/domain/7"), failure("EACCES")) << "in one direction only";
}

TEST_F(DomainTest, NodesElsewhereGoWithTheirOwnerToo) {
  MachineClient guest = world.create_guest(7);
  EXPECT_EQ(dom0.mkdir("/far/away"), kOk);
  EXPECT_EQ(dom0.set_perms("/far/away", {"n7"}), kOk);
  EXPECT_EQ(guest.write("/far/away/below", "1"), kOk);
  EXPECT_EQ(dom0.watch("/far", "w"), kOk);
  (void)dom0.events();
  machine.domain_dead(7);
  EXPECT_EQ(dom0.directory("/far"), Result(""));
  EXPECT_EQ(dom0.directory("/local/domain"), Result(""));
  EXPECT_EQ(dom0.events(), (Events{{"/far/away", "w"}}));
  EXPECT_EQ(machine.known_domains(), std::vector<DomId>{0});
}

TEST_F(DomainTest, NodesOfADomainThatWasNeverIntroduced) {
  EXPECT_EQ(dom0.mkdir("/local/domain/7/device"), kOk);
  EXPECT_EQ(dom0.set_perms("/local/domain/7/device", {"n7", "r9"}), kOk);
  EXPECT_EQ(machine.known_domains(), (std::vector<DomId>{0, 7, 9}))
      << "these are whose death counts";
  EXPECT_EQ(dom0.watch("@releaseDomain", "r"), kOk);
  (void)dom0.events();
  machine.domain_dead(9);
  EXPECT_EQ(dom0.get_perms("/local/domain/7/device"), Result("n7 "));
  machine.domain_dead(7);
  EXPECT_EQ(dom0.directory("/local/domain/7"), Result(""));
  EXPECT_EQ(dom0.events(), Events{});
}

TEST_F(DomainTest, RebirthKeepsNodesAndRights) {
  MachineClient guest = world.create_guest(7);
  EXPECT_EQ(guest.write("state", "1"), kOk);
  EXPECT_EQ(dom0.write("/config", "c"), kOk);
  EXPECT_EQ(dom0.set_perms("/config", {"n0", "r7"}), kOk);
  EXPECT_EQ(dom0.watch("@releaseDomain", "r"), kOk);
  EXPECT_EQ(guest.watch("state", "w"), kOk);
  (void)dom0.events();
  machine.domain_reborn(7);
  const auto effects = machine.take_effects();
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(effects[0].kind, Effect::Kind::detach_domain);
  EXPECT_EQ(machine.statistics().watches, 1U) << "its own watches go";
  EXPECT_FALSE(machine.connection_of(7));
  MachineClient again(machine, machine.connect_domain(7, 1, 1));
  EXPECT_EQ(again.read("state"), Result("1"));
  EXPECT_EQ(again.read("/config"), Result("c"));
  EXPECT_EQ(dom0.events(), Events{});
}

TEST_F(DomainTest, AGuestMayResetItsConnection) {
  MachineClient guest = world.create_guest(7);
  EXPECT_EQ(guest.watch("a", "t"), kOk);
  (void)guest.send(MessageType::write, strings({"a"}) + "1");
  machine.reconnect(7);
  const auto effects = machine.take_effects();
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(effects[0].kind, Effect::Kind::reset_ring);
  EXPECT_TRUE(machine.to_send(guest.connection()).empty());
  EXPECT_EQ(machine.statistics().watches, 0U);
  EXPECT_EQ(world.guest(7).connection(), guest.connection());
  EXPECT_EQ(guest.read("a"), Result("1"));
}

TEST_F(DomainTest, Control) {
  EXPECT_TRUE(dom0.control({"help"})->find("memreport") != std::string::npos);
  EXPECT_TRUE(dom0.control({"memreport"})->find("unsent output") != std::string::npos);
  EXPECT_EQ(dom0.control({"nonsense"}), failure("EINVAL"));
  EXPECT_EQ(dom0.call(MessageType::control, "no NUL"), failure("EINVAL"));
  EXPECT_EQ(dom0.control({"print", "hello"}), Result("OK"));
  const auto log = machine.take_log();
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log.back().text, "control: hello");
  EXPECT_EQ(dom0.control({"log", "on"}), Result("OK"));
  EXPECT_EQ(dom0.read("/tool"), Result(""));
  EXPECT_TRUE(machine.take_log().back().text.find("READ tx 0 /tool") != std::string::npos);
  EXPECT_EQ(dom0.control({"log", "off"}), Result("OK"));
  (void)machine.take_log();
  EXPECT_EQ(dom0.read("/tool"), Result(""));
  EXPECT_TRUE(machine.take_log().empty());
}

}  // namespace
}  // namespace ppvmm::test

// One test per security advisory that concerned a XenStore server (https://xenbits.xen.org/xsa/).
// Each says what the fault was, and shows that it is not one here. XSA-38 (ring indexes) has its
// tests beside the ring: tests/unit/ring.
// From XSA-414 on: advisory_414_test.cpp.
#include "advisory.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace ppvmm::test {
namespace {

// oxenstored and libxenstore believed lengths and indexes in the ring page.
TEST(AdvisoryOfRings, XSA_038_HostileRingIndexes) {
  RingHost host;
  // The producer claims more than the ring can hold.
  host.page().req_prod = 4096;
  host.turn();
  EXPECT_TRUE(host.broken());
  EXPECT_NE(host.page().error, 0U) << "the guest is told";
  const auto request = encode(store::MessageType::read, 1, 0, std::string_view("/tool\0", 6));
  EXPECT_EQ(host.machine().receive(host.socket(), request), request.size());
  EXPECT_FALSE(host.machine().to_send(host.socket()).empty()) << "others are served";
}

// A listing longer than a message may be was sent whole: the answer must be E2BIG, and
// DIRECTORY_PART is the way to get it.
TEST_F(Advisory, XSA_072_OversizedAnswer) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(dom0.mkdir("/big/" + std::string(20, 'n') + std::to_string(i)), kOk);
  }
  EXPECT_EQ(dom0.directory("/big"), failure("E2BIG"));
  const Result part = dom0.call(MessageType::directory_part, strings({"/big", "0"}));
  ASSERT_TRUE(part);
  EXPECT_LE(part->size(), store::kPayloadMax);
}

// Watch events were sent without a look at the node's permissions, and special events to everyone.
TEST_F(Advisory, XSA_115_NoEventsForWhatMayNotBeRead) {
  MachineClient spy = guest(5);
  MachineClient victim = guest(6);
  for (const char* path :
       {"/", "/local/domain/6", "/secret", "@introduceDomain", "@releaseDomain"}) {
    EXPECT_EQ(spy.watch(path, "spy"), kOk);
  }
  (void)spy.events();
  EXPECT_EQ(victim.write("password", "x"), kOk);
  EXPECT_EQ(dom0.write("/secret/deep/node", "x"), kOk);
  const auto tx = dom0.start();
  EXPECT_EQ(dom0.rm("/secret/deep", tx), kOk);
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(dom0.rm("/secret"), kOk);
  (void)world.introduce(7);
  machine.domain_dead(6);
  EXPECT_EQ(spy.events(), Events{});
  EXPECT_EQ(spy.is_introduced(6), failure("EACCES"));
  // Domain 0 may let a guest know.
  EXPECT_EQ(dom0.set_perms("@releaseDomain", {"n0", "r5"}), kOk);
  machine.domain_dead(7);
  EXPECT_EQ(spy.events(), (Events{{"@releaseDomain", "spy"}}));
  EXPECT_EQ(spy.set_perms("@introduceDomain", {"n5"}), failure("EACCES"));
}

// A guest that wrote all the time made everyone else's transactions fail for ever.
TEST_F(Advisory, XSA_206_ConflictingWritersAreSlowedDown) {
  MachineClient flood = guest(5);
  EXPECT_EQ(dom0.write("/local/domain/5/hot", "0"), kOk);
  EXPECT_EQ(dom0.set_perms("/local/domain/5/hot", {"n5"}), kOk);
  const auto tx = dom0.start();
  EXPECT_EQ(dom0.read("/local/domain/5/hot", tx), Result("0"));
  int written = 0;
  while (written < 10'000 && flood.write("hot", std::to_string(written)))
    ++written;
  EXPECT_GE(written, 10) << "a burst is fine";
  EXPECT_LT(written, 100);
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
  // Slowed down, not shut out: what it sent is served when its credit is back.
  const auto deadline = machine.next_deadline_ms();
  ASSERT_TRUE(deadline);
  EXPECT_GT(*deadline, 0U);
  EXPECT_GT(flood.unsent(), 0U);
  machine.advance(*deadline);
  EXPECT_TRUE(flood.next_reply());
  EXPECT_EQ(flood.unsent(), 0U);
  // Nobody's transaction is open: nobody to disturb, no limit.
  machine.advance(*deadline + 1'000);
  for (int i = 0; i < 1'000; ++i)
    ASSERT_EQ(flood.write("hot", std::to_string(i)), kOk);
}

// The stub domain kept a pointer to its target's connection after that was freed.
TEST_F(Advisory, XSA_233_TargetThatGoes) {
  MachineClient stub = guest(5);
  MachineClient target = guest(6);
  EXPECT_EQ(target.write("x", "1"), kOk);
  EXPECT_EQ(dom0.set_target(5, 6), kOk);
  EXPECT_EQ(stub.read("/local/domain/6/x"), Result("1"));
  machine.domain_dead(6);
  MachineClient successor = guest(6);
  EXPECT_EQ(successor.write("x", "2"), kOk);
  EXPECT_EQ(stub.read("/local/domain/6/x"), failure("EACCES")) << "lent by another domain";
  machine.domain_dead(5);
}

// The number of nodes a guest owned was not counted in all cases.
TEST_F(Advisory, XSA_272_NodeQuota) {
  MachineClient owner = guest(5);
  EXPECT_EQ(dom0.control({"quota", "set", "node-size", "100000"}), Result("OK"));
  int made = 1;  // its home
  for (; made < 5'000; ++made) {
    const std::string name = "n" + std::to_string(made);
    const auto tx = made % 3 == 0 ? owner.start() : 0;
    const Result result = owner.mkdir(name, tx);
    EXPECT_TRUE(tx == 0 || owner.commit(tx).ok());
    if (!result) {
      EXPECT_EQ(result, failure("ENOSPC"));
      break;
    }
  }
  EXPECT_EQ(made, 1'000);
}

// A new domain with a dead one's id got the rights that the dead one had.
TEST_F(Advisory, XSA_322_ReusedDomidInheritsNothing) {
  EXPECT_EQ(dom0.write("/service", "secret"), kOk);
  EXPECT_EQ(dom0.set_perms("/service", {"n0", "b5", "r6"}), kOk);
  MachineClient first = guest(5);
  EXPECT_EQ(first.read("/service"), Result("secret"));
  machine.domain_dead(5);
  MachineClient second = guest(5);
  EXPECT_EQ(second.read("/service"), failure("EACCES"));
  EXPECT_EQ(dom0.get_perms("/service"), Result("n0 r6 "));
}

// A relative path that was within the limit became longer than the limit when it was made absolute.
TEST_F(Advisory, XSA_323_PathLengths) {
  MachineClient client = guest(5);
  for (const std::size_t length : {2047U, 2048U, 2049U, 3055U, 3056U, 3072U, 4000U}) {
    const Result relative = client.write(std::string(length, 'p'), "x");
    EXPECT_EQ(relative, length <= 2048 ? failure("ENOSPC") : failure("EINVAL")) << length;
    EXPECT_EQ(client.watch(std::string(length, 'p'), "t"), length <= 2048 ? kOk : failure("EINVAL"))
        << length;
    EXPECT_EQ(dom0.read(std::string(length, 'p')),
              length <= 3072 - 16 ? failure("ENOENT") : failure("EINVAL"))
        << length;
  }
}

// A token so long that the event did not fit into a message.
TEST_F(Advisory, XSA_324_HugeWatchToken) {
  MachineClient client = guest(5);
  const std::string token(store::kPayloadMax - 3, 't');
  EXPECT_EQ(client.watch("a", token), kOk);
  EXPECT_EQ(client.events(), (Events{{"a", token}}));
  EXPECT_EQ(client.write("a/longer", "1"), kOk) << "this event would be too long: it is not sent";
  EXPECT_EQ(client.events(), Events{});
  EXPECT_EQ(client.unwatch("a", token), kOk);
}

// The connection of a misbehaving guest was freed while the domain was alive and others still
// pointed to it.
TEST_F(Advisory, XSA_325_BadClientStaysUntilItDies) {
  MachineClient bad = guest(5);
  EXPECT_EQ(bad.watch("a", "t"), kOk);
  EXPECT_EQ(dom0.watch("@releaseDomain", "r"), kOk);
  (void)dom0.events();
  const std::vector<std::byte> garbage(64, std::byte{0xFF});
  bad.send_bytes(garbage);
  EXPECT_TRUE(machine.broken(bad.connection()));
  EXPECT_EQ(dom0.is_introduced(5), Result("T"));
  EXPECT_EQ(dom0.write("/local/domain/5/a", "1"), kOk);
  EXPECT_EQ(dom0.events(), Events{}) << "no release yet";
  machine.domain_dead(5);
  EXPECT_EQ(dom0.events(), (Events{{"@releaseDomain", "r"}}));
}

// A guest could make the server use memory without bound: unread answers, events, transactions.
TEST_F(Advisory, XSA_326_MemoryIsBounded) {
  const auto before = machine.statistics().memory;
  constexpr std::uint64_t kBound = 4'000'000;  // the hard quota and some

  MachineClient mute = guest(5);
  EXPECT_EQ(mute.write("big", std::string(2'000, 'x')), kOk);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(mute.watch("w", std::to_string(i)), kOk);
  (void)mute.events();
  // Requests whose answers it does not read.
  for (int i = 0; i < 10'000; ++i) {
    std::string request(16, '\0');
    request[0] = 2;
    request[12] = 4;
    request += strings({"big"});
    (void)machine.receive(mute.connection(), std::as_bytes(std::span(request)));
  }
  EXPECT_LT(machine.statistics().memory, before + kBound);
  // A storm of events that it does not read.
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(
        dom0.write("/local/domain/5/w/" + std::string(100, 'n') + std::to_string(i % 900), "x"),
        kOk);
  }
  EXPECT_LT(machine.statistics().memory, before + kBound + 1'000'000);
  EXPECT_GT(machine.statistics().refusals, 0U);

  // Transactions that touch as much as they can.
  MachineClient greedy = guest(6);
  for (int t = 0; t < 10; ++t) {
    const auto tx = greedy.start();
    for (int i = 0; tx != 0 && i < 900; ++i) {
      if (!greedy.write("n" + std::to_string(i), std::string(1'900, 'x'), tx)) break;
    }
  }
  EXPECT_LT(machine.statistics().memory, before + 3 * kBound);
  machine.domain_dead(5);
  machine.domain_dead(6);
  EXPECT_LT(machine.statistics().memory, before + 100'000);
}

// RESET_WATCHES left transactions and queued events behind.
TEST_F(Advisory, XSA_330_ResetFreesEverything) {
  MachineClient client = guest(5);
  const auto before = machine.statistics();
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(client.watch("a", std::to_string(i)), kOk);
  for (int i = 0; i < 10; ++i) {
    const auto tx = client.start();
    EXPECT_EQ(client.write("a", std::string(1'000, 'x'), tx), kOk);
  }
  EXPECT_EQ(client.reset_watches(), kOk);
  (void)client.events();
  const auto after = machine.statistics();
  EXPECT_EQ(after.watches, before.watches);
  EXPECT_LE(after.memory, before.memory + 4096);
  EXPECT_NE(client.start(), 0U) << "the count of transactions is back too";
}

// A guest that owned a node could give it to another domain and so get around quotas.
TEST_F(Advisory, XSA_352_OnlyDomainZeroChangesOwners) {
  MachineClient client = guest(5);
  EXPECT_EQ(client.write("a", "1"), kOk);
  EXPECT_EQ(client.set_perms("a", {"n6"}), failure("EPERM"));
  EXPECT_EQ(client.set_perms("a", {"n0"}), failure("EPERM"));
  const auto tx = client.start();
  EXPECT_EQ(client.set_perms("a", {"n6"}, tx), failure("EPERM"));
  EXPECT_EQ(client.commit(tx), kOk);
  EXPECT_EQ(dom0.get_perms("/local/domain/5/a"), Result("n5 "));
}

// The permissions of the root node were never looked at.
TEST_F(Advisory, XSA_353_TheRootsPermissionsCount) {
  MachineClient client = guest(5);
  EXPECT_EQ(client.directory("/"), failure("EACCES"));
  EXPECT_EQ(client.write("/", "x"), failure("EACCES"));
  EXPECT_EQ(client.mkdir("/mine"), failure("EACCES"));
  EXPECT_EQ(client.rm("/tool"), failure("EACCES"));
  EXPECT_EQ(client.set_perms("/", {"n5"}), failure("EACCES"));
}

}  // namespace
}  // namespace ppvmm::test

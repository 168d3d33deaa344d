// As advisory_test.cpp, from XSA-414 on (autumn of 2022).
#include <algorithm>
#include <string>
#include <vector>

#include "advisory.hpp"

namespace ppvmm::test {
namespace {

// Rights also came back by way of a node that was written again after the owner's death.
TEST_F(Advisory, XSA_417_RightsDoNotComeBackWithAWrite) {
  EXPECT_EQ(dom0.write("/service", "1"), kOk);
  EXPECT_EQ(dom0.set_perms("/service", {"n0", "b5"}), kOk);
  (void)guest(5);
  const auto tx = dom0.start();
  EXPECT_EQ(dom0.write("/service/below", "1", tx), kOk);
  machine.domain_dead(5);
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(dom0.write("/service", "2"), kOk);
  MachineClient second = guest(5);
  EXPECT_EQ(second.read("/service"), failure("EACCES"));
  EXPECT_EQ(second.read("/service/below"), failure("EACCES"));
}

// A failed creation left nodes without the parent's entry, or entries without nodes.
TEST_F(Advisory, XSA_414_FailedCreationLeavesNothing) {
  MachineClient client = guest(5);
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "3"}), Result("OK"));
  const auto digest = machine.tree_digest();
  EXPECT_EQ(client.write("a/b/c/d", "1"), failure("ENOSPC"));
  EXPECT_EQ(client.write("a/" + std::string(2'040, 'n'), std::string(2'000, 'v')),
            failure("ENOSPC"));
  EXPECT_EQ(machine.tree_digest(), digest);
  EXPECT_EQ(client.directory("/local/domain/5"), Result(""));
}

// The same, with the error in the middle: nodes were counted that were not there.
TEST_F(Advisory, XSA_415_FailedCreationCountsNothing) {
  MachineClient client = guest(5);
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "3"}), Result("OK"));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(client.write("a/b/c", "1"), failure("ENOSPC"));
  EXPECT_EQ(client.write("a/b", "1"), kOk) << "home, a and b are three";
}

// Every unread answer kept the request's whole buffer.
TEST_F(Advisory, XSA_416_AnUnreadAnswerPinsNoRequest) {
  MachineClient client = guest(5);
  EXPECT_EQ(client.write("a", ""), kOk);
  const auto before = machine.statistics().memory;
  const std::string payload = strings({"a"}) + std::string(2'000, 'x');
  const MessageHeader header{.type = MessageType::write,
                             .request_id = 1,
                             .transaction_id = 0,
                             .length = static_cast<std::uint32_t>(payload.size())};
  std::string request(reinterpret_cast<const char*>(&header), sizeof(header));
  request += payload;
  for (int i = 0; i < 19; ++i) {
    ASSERT_EQ(machine.receive(client.connection(), std::as_bytes(std::span(request))),
              request.size());
  }
  EXPECT_LT(machine.statistics().memory, before + 2'000 + 19 * 100);
}

// Deep trees overflowed the stack, since removal was recursive.
TEST_F(Advisory, XSA_418_VeryDeepTrees) {
  std::string path = "/d";
  while (path.size() < 3'000)
    path += "/d";
  EXPECT_EQ(dom0.write(path, "x"), kOk);
  EXPECT_EQ(dom0.watch(path, "deep"), kOk);
  EXPECT_EQ(dom0.control({"check"}), Result("OK"));
  const auto tx = dom0.start();
  EXPECT_EQ(dom0.rm("/d", tx), kOk);
  EXPECT_EQ(dom0.abort(tx), kOk);
  EXPECT_EQ(dom0.set_perms("/d/d/d", {"n7"}), kOk);
  machine.domain_dead(7);
  EXPECT_EQ(dom0.directory("/d/d"), Result(""));
  EXPECT_EQ(dom0.events(), (Events{{path, "deep"}, {path, "deep"}}));
  EXPECT_EQ(dom0.rm("/d"), kOk);
}

// A dead domain's nodes stayed for ever, and could be made by the thousand.
TEST_F(Advisory, XSA_419_NodesOfTheDeadAreRemoved) {
  const auto before = machine.statistics();
  for (int life = 0; life < 20; ++life) {
    MachineClient client = guest(5);
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(client.write("n" + std::to_string(i), "x"), kOk);
    machine.domain_dead(5);
  }
  EXPECT_LE(machine.statistics().nodes, before.nodes + 2) << "/local/domain stays";
}

// A packet whose size was read as a negative number crashed oxenstored.
TEST_F(Advisory, XSA_420_NegativeSizes) {
  for (const std::uint32_t length : {0xFFFFFFFFU, 0x80000000U, 0x7FFFFFFFU, 4097U}) {
    MachineClient client = world.connect();
    MessageHeader header{.type = MessageType::read, .request_id = 1, .length = length};
    client.send_bytes(std::as_bytes(std::span(&header, 1)));
    EXPECT_TRUE(machine.broken(client.connection())) << length;
  }
}

// Creating and deleting a node within one transaction left the store inconsistent at its end.
TEST_F(Advisory, XSA_421_CreateAndDeleteInOneTransaction) {
  MachineClient client = guest(5);
  const auto digest = machine.tree_digest();
  const auto tx = client.start();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.write("a/b/c", "1", tx), kOk);
    EXPECT_EQ(client.rm("a/b", tx), kOk);
    EXPECT_EQ(client.rm("a", tx), kOk);
  }
  EXPECT_EQ(client.commit(tx), kOk);
  EXPECT_EQ(machine.tree_digest(), digest);
  EXPECT_NE(dom0.control({"quota", "5"})->find("nodes            :          1"), std::string::npos);
}

// oxenstored died when a domain was released, or reset itself for a kexec, with requests pending.
TEST_F(Advisory, XSA_425_ReleaseAndSoftReset) {
  MachineClient client = guest(5);
  EXPECT_EQ(client.watch("a", "t"), kOk);
  const auto tx = client.start();
  (void)client.write("a", "1", tx);
  (void)client.send(MessageType::read, strings({"a"}));
  EXPECT_EQ(dom0.release(5), kOk);
  EXPECT_EQ(client.read("a"), failure("no answer"));
  (void)world.carry_out_effects();
  MachineClient again = guest(5);
  EXPECT_EQ(again.write("a", "2"), kOk);
  EXPECT_EQ(world.introduce(5).read("a"), Result("2"));
}

// Two transactions that both deleted the same nodes corrupted the store when both were committed.
TEST_F(Advisory, XSA_440_TwoTransactionsDeleteTheSameNodes) {
  EXPECT_EQ(dom0.write("/a/b/c", "1"), kOk);
  MachineClient other = world.connect();
  const auto one = dom0.start();
  const auto two = other.start();
  EXPECT_EQ(dom0.rm("/a/b", one), kOk);
  EXPECT_EQ(other.rm("/a/b", two), kOk);
  EXPECT_EQ(dom0.commit(one), kOk);
  EXPECT_EQ(other.commit(two), failure("EAGAIN"));
  EXPECT_EQ(dom0.directory("/a"), Result(""));
}

// The path "/local/domain/" was taken apart past its end.
TEST_F(Advisory, XSA_481_LocalDomainSlash) {
  MachineClient client = guest(5);
  for (const char* path :
       {"/local/domain/", "/local/domain//", "/local/domain/5/", "/local/domain/x/"}) {
    EXPECT_EQ(client.read(path), failure("EINVAL")) << path;
    EXPECT_EQ(client.watch(path, "t"), failure("EINVAL")) << path;
    EXPECT_EQ(dom0.read(path), failure("EINVAL")) << path;
  }
  for (const char* path :
       {"/local/domain", "/local/domain/55555555555555555555/a", "/local/domain/a"}) {
    EXPECT_EQ(dom0.read(path), path == std::string("/local/domain") ? kOk : failure("ENOENT"));
  }
}

// The count of nodes of a dead domain went on with its successor.
TEST_F(Advisory, XSA_483_CountsStartAtZeroWithANewDomain) {
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "4"}), Result("OK"));
  for (int life = 0; life < 3; ++life) {
    MachineClient client = guest(5);
    const auto open = client.start();
    EXPECT_EQ(client.write("in/transaction", "1", open), kOk);
    for (const char* name : {"a", "b", "c"})
      EXPECT_EQ(client.write(name, "1"), kOk) << life;
    EXPECT_EQ(client.write("d", "1"), failure("ENOSPC"));
    machine.domain_dead(5);
  }
}

// RESET_WATCHES inside a transaction freed the transaction that was being used.
TEST_F(Advisory, XSA_484_ResetInsideATransaction) {
  MachineClient client = guest(5);
  const auto tx = client.start();
  EXPECT_EQ(client.write("a", "1", tx), kOk);
  EXPECT_EQ(client.call(MessageType::reset_watches, strings({""}), tx),
            Result(std::string("OK", 3)));
  EXPECT_EQ(client.write("b", "1", tx), failure("ENOENT"));
  EXPECT_EQ(client.read("a"), failure("ENOENT"));
}

}  // namespace
}  // namespace ppvmm::test

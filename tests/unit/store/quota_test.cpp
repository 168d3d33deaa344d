// Limits: each is enforced for guests only, settable while running, counted and logged by name.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

class QuotaTest : public testing::Test {
 protected:
  void TearDown() override {
    (void)guest.events();
    EXPECT_EQ(world.dom0.control({"check"}), Result("OK"));
  }

  void set(std::string_view quota, int value) {
    ASSERT_EQ(world.dom0.control({"quota", "set", quota, std::to_string(value)}), Result("OK"));
  }
  // Whether the log has told of a refusal by this quota to domain 5 since the last look.
  bool logged(std::string_view quota) {
    const auto records = machine.take_log();
    return std::any_of(records.begin(), records.end(), [&](const store::LogRecord& record) {
      return record.text.find("quota " + std::string(quota) + " ") != std::string::npos &&
             record.text.find("domain 5") != std::string::npos;
    });
  }

  World world;
  Machine& machine = world.machine;
  MachineClient& dom0 = world.dom0;
  MachineClient guest = world.create_guest(5);
};

TEST_F(QuotaTest, Nodes) {
  set("nodes", 4);
  EXPECT_EQ(guest.write("a/b", "1"), kOk);
  EXPECT_EQ(guest.write("c/d", "1"), failure("ENOSPC")) << "two more would be five";
  EXPECT_TRUE(logged("nodes"));
  EXPECT_EQ(guest.write("c", "1"), kOk);
  EXPECT_EQ(guest.write("d", "1"), failure("ENOSPC"));
  EXPECT_EQ(guest.write("c", "2"), kOk) << "what is there may be changed";
  EXPECT_EQ(guest.rm("a"), kOk);
  EXPECT_EQ(guest.write("d", "1"), kOk);
  EXPECT_EQ(dom0.write("/local/domain/5/by/dom0", "1"), kOk) << "domain 0 has no limit";
  EXPECT_NE(dom0.control({"quota", "5"})->find("nodes            :          2 times refused"),
            std::string::npos)
      << dom0.control({"quota", "5"});
}

TEST_F(QuotaTest, Watches) {
  set("watches", 2);
  EXPECT_EQ(guest.watch("a", "1"), kOk);
  EXPECT_EQ(guest.watch("a", "2"), kOk);
  EXPECT_EQ(guest.watch("a", "3"), failure("E2BIG"));
  EXPECT_TRUE(logged("watches"));
  EXPECT_EQ(guest.unwatch("a", "1"), kOk);
  EXPECT_EQ(guest.watch("a", "3"), kOk);
}

TEST_F(QuotaTest, Transactions) {
  set("transactions", 2);
  const auto one = guest.start();
  EXPECT_NE(one, 0U);
  EXPECT_NE(guest.start(), 0U);
  EXPECT_EQ(guest.call(MessageType::transaction_start, strings({""})), failure("ENOSPC"));
  EXPECT_TRUE(logged("transactions"));
  EXPECT_EQ(guest.abort(one), kOk);
  EXPECT_NE(guest.start(), 0U);
}

TEST_F(QuotaTest, NodeSize) {
  set("node-size", 100);
  EXPECT_EQ(guest.write("a", std::string(80, 'x')), kOk);
  EXPECT_EQ(guest.write("a", std::string(101, 'x')), failure("ENOSPC"));
  EXPECT_TRUE(logged("node-size"));
  EXPECT_EQ(guest.write("b", std::string(101, 'x')), failure("ENOSPC"));
  EXPECT_EQ(guest.read("b"), failure("ENOENT"));
  EXPECT_EQ(guest.mkdir("dir/" + std::string(50, 'n')), kOk);
  EXPECT_EQ(guest.mkdir("dir/" + std::string(51, 'm')), failure("ENOSPC")) << "names count";
}

TEST_F(QuotaTest, Permissions) {
  set("node-permissions", 2);
  EXPECT_EQ(guest.write("a", "1"), kOk);
  EXPECT_EQ(guest.set_perms("a", {"n5", "r1"}), kOk);
  EXPECT_EQ(guest.set_perms("a", {"n5", "r1", "r2"}), failure("ENOSPC"));
  EXPECT_TRUE(logged("node-permissions"));
  EXPECT_EQ(dom0.set_perms("/local/domain/5/a", {"n5", "r1", "r2"}), kOk);
}

TEST_F(QuotaTest, TransactionNodes) {
  set("transaction-nodes", 4);
  const auto tx = guest.start();
  EXPECT_EQ(guest.write("a", "1", tx), kOk);
  EXPECT_EQ(guest.write("b", "1", tx), kOk);
  EXPECT_EQ(guest.write("a", "2", tx), kOk) << "touched already";
  EXPECT_EQ(guest.read("/", tx), failure("EACCES"));
  EXPECT_EQ(guest.write("c", "1", tx), failure("ENOSPC"));
  EXPECT_TRUE(logged("transaction-nodes"));
  EXPECT_EQ(guest.commit(tx), kOk) << "what was refused has done nothing";
  EXPECT_EQ(guest.directory("/local/domain/5"), Result("a b "));
}

TEST_F(QuotaTest, PathLength) {
  const std::string at_limit(2048, 'p');
  EXPECT_EQ(guest.read(at_limit), failure("ENOENT"));
  EXPECT_EQ(guest.read(at_limit + "p"), failure("EINVAL"));
  EXPECT_TRUE(logged("path-max"));
  EXPECT_EQ(guest.read("/local/domain/5/" + at_limit), failure("ENOENT")) << "the same path";
  EXPECT_EQ(guest.read("/" + at_limit), failure("EINVAL"));
  EXPECT_EQ(dom0.read("/" + std::string(3071, 'p')), failure("ENOENT"));
  EXPECT_EQ(dom0.read("/" + std::string(3072, 'p')), failure("EINVAL")) << "the protocol's limit";
}

TEST_F(QuotaTest, MemoryOfNodes) {
  set("memory", 20'000);
  std::size_t written = 0;
  Result last = kOk;
  while ((last = guest.write("n" + std::to_string(written), std::string(1000, 'v'))))
    ++written;
  EXPECT_EQ(last, failure("ENOMEM"));
  EXPECT_TRUE(logged("memory"));
  EXPECT_GE(written, 10U);
  EXPECT_LE(written, 20U);
  EXPECT_EQ(guest.read("n0"), Result(std::string(1000, 'v'))) << "reading goes on";
  EXPECT_EQ(guest.rm("n0"), kOk);
  EXPECT_EQ(guest.write("again", std::string(900, 'v')), kOk);
}

TEST_F(QuotaTest, TheSoftLimitIsLogged) {
  set("memory-soft", 5'000);
  (void)machine.take_log();
  EXPECT_EQ(guest.write("a", std::string(2000, 'v')), kOk);
  EXPECT_EQ(guest.write("b", std::string(2000, 'v')), kOk);
  EXPECT_EQ(guest.write("c", std::string(2000, 'v')), kOk);
  const auto log = machine.take_log();
  EXPECT_EQ(std::count_if(log.begin(), log.end(),
                          [](const store::LogRecord& record) {
                            return record.text.find("memory-soft") != std::string::npos;
                          }),
            1);
}

TEST_F(QuotaTest, OutstandingRequestsStallTheGuest) {
  set("outstanding", 3);
  for (int i = 0; i < 5; ++i) {
    const std::string payload = strings({"/local/domain/5"});
    const MessageHeader header{.type = MessageType::read,
                               .request_id = 100,
                               .transaction_id = 0,
                               .length = static_cast<std::uint32_t>(payload.size())};
    std::string message(reinterpret_cast<const char*>(&header), sizeof(header));
    message += payload;
    const auto taken =
        machine.receive(guest.connection(), std::as_bytes(std::span<const char>(message)));
    EXPECT_EQ(taken, i < 3 ? message.size() : 0U) << i;
  }
  EXPECT_EQ(machine.to_send(guest.connection()).size(), 3 * sizeof(MessageHeader));
  (void)machine.take_ready();
  machine.sent(guest.connection(), sizeof(MessageHeader));
  const auto ready = machine.take_ready();
  ASSERT_EQ(ready.size(), 1U) << "it may go on";
  EXPECT_EQ(ready[0], guest.connection());
}

// XSA-326: what counts is that somebody has not read, whoever that is.
TEST_F(QuotaTest, UnreadEventsOfOthersCountForTheWriter) {
  set("outstanding", 3);
  MachineClient reader = world.create_guest(6);
  EXPECT_EQ(dom0.set_perms("/local/domain/5", {"r5"}), kOk);
  EXPECT_EQ(reader.watch("/local/domain/5", "t"), kOk);
  (void)reader.events();
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(guest.write(name, "1"), kOk);
  EXPECT_EQ(guest.write("d", "1"), failure("no answer"));
  EXPECT_EQ(reader.events().size(), 3U);
  EXPECT_TRUE(guest.next_reply()) << "read: so the writer goes on";
}

TEST_F(QuotaTest, UnreadEventsExpire) {
  set("event-expiry-ms", 1000);
  MachineClient reader = world.create_guest(6);
  EXPECT_EQ(reader.watch("a", "t"), kOk);
  EXPECT_EQ(reader.watch("b", "t"), kOk);
  (void)reader.events();
  machine.advance(5'000);
  EXPECT_FALSE(machine.next_deadline_ms());
  EXPECT_EQ(dom0.write("/local/domain/6/a", "1"), kOk);
  EXPECT_EQ(machine.next_deadline_ms(), 6'000U);
  machine.advance(5'500);
  EXPECT_EQ(dom0.write("/local/domain/6/b", "1"), kOk);
  machine.advance(6'000);
  EXPECT_EQ(machine.statistics().events_expired, 1U);
  EXPECT_EQ(machine.next_deadline_ms(), 6'500U);
  EXPECT_EQ(reader.events(), (std::vector<Event>{{"b", "t"}}));
  EXPECT_FALSE(machine.next_deadline_ms());
}

TEST_F(QuotaTest, AnEventOnItsWayDoesNotExpire) {
  set("event-expiry-ms", 1000);
  MachineClient reader = world.create_guest(6);
  (void)reader.send(MessageType::watch, strings({"a", "t"}));
  const std::size_t answer = sizeof(MessageHeader) + 3;
  const std::vector<std::byte> all(machine.to_send(reader.connection()).begin(),
                                   machine.to_send(reader.connection()).end());
  machine.sent(reader.connection(), answer + 5);
  EXPECT_EQ(dom0.write("/local/domain/6/a", "1"), kOk) << "half an event stands for no other";
  machine.advance(10'000);
  const auto rest = machine.to_send(reader.connection());
  ASSERT_EQ(rest.size(), all.size() - answer - 5);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), all.begin() + answer + 5));
}

TEST_F(QuotaTest, LimitsCanBeAskedAndSetWhileRunning) {
  EXPECT_NE(dom0.control({"quota"})->find("transactions     :         10"), std::string::npos);
  EXPECT_EQ(dom0.control({"quota", "set", "transactions", "11"}), Result("OK"));
  EXPECT_NE(dom0.control({"quota"})->find("transactions     :         11"), std::string::npos);
  EXPECT_EQ(dom0.control({"quota", "set", "nonsense", "1"}), failure("EINVAL"));
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "0"}), failure("EINVAL"));
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "many"}), failure("EINVAL"));
  EXPECT_EQ(dom0.control({"quota", "set", "nodes"}), failure("EINVAL"));
  EXPECT_EQ(dom0.control({"quota", "77"}), failure("ENOENT"));
  EXPECT_EQ(dom0.control({"quota-soft", "set", "memory", "1000000"}), Result("OK"));
  EXPECT_NE(dom0.control({"quota-soft"})->find("1000000"), std::string::npos);
}

TEST(MemoryLimit, RefusesWhatWouldGrowAndLogsIt) {
  World world(
      store::Options{.quotas = {}, .memory_limit = 1'000'000, .version = "test", .heartbeat = {}});
  Result last = kOk;
  int written = 0;
  while ((last = world.dom0.write("/n" + std::to_string(written), std::string(1000, 'v')))) {
    ++written;
  }
  EXPECT_EQ(last, failure("ENOSPC"));
  EXPECT_GT(written, 400);
  EXPECT_LT(world.machine.statistics().memory, 1'000'000U);
  const auto log = world.machine.take_log();
  ASSERT_FALSE(log.empty());
  EXPECT_NE(log.back().text.find("memory limit (1000000) refused WRITE"), std::string::npos);
  EXPECT_EQ(world.dom0.read("/n0"), Result(std::string(1000, 'v')));
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(world.dom0.rm("/n" + std::to_string(i)), kOk);
  EXPECT_EQ(world.dom0.write("/again", "x"), kOk);
}

// A guest that keeps a transaction open pins the nodes of its snapshot.
TEST(MemoryLimit, GuestsTransactionsYieldBeforeWorkIsRefused) {
  World world(
      store::Options{.quotas = {}, .memory_limit = 1'000'000, .version = "test", .heartbeat = {}});
  MachineClient guest = world.create_guest(5);
  for (int i = 0; i < 250; ++i) {
    ASSERT_EQ(world.dom0.write("/n" + std::to_string(i), std::string(1000, 'v')), kOk);
  }
  const auto tx = guest.start();
  EXPECT_EQ(guest.write("x", "1", tx), kOk);
  for (int i = 0; i < 250; ++i)
    ASSERT_EQ(world.dom0.rm("/n" + std::to_string(i)), kOk);
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(world.dom0.write("/m" + std::to_string(i), std::string(1000, 'v')), kOk) << i;
  }
  EXPECT_EQ(guest.read("x", tx), failure("EAGAIN"));
  EXPECT_EQ(guest.commit(tx), failure("EAGAIN"));
  EXPECT_EQ(guest.commit(tx), failure("ENOENT"));
  EXPECT_EQ(world.dom0.control({"check"}), Result("OK"));
}

}  // namespace
}  // namespace ppvmm::test

// Transactions: isolation, what conflicts and what does not, events and quotas at the end.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

class TransactionTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(world.dom0.control({"check"}), Result("OK")); }

  World world;
  MachineClient& dom0 = world.dom0;
  MachineClient other = world.connect();
};

TEST_F(TransactionTest, ShowsItsOwnChangesAndHidesThemFromOthers) {
  EXPECT_EQ(dom0.write("/a", "old"), kOk);
  const std::uint32_t tx = dom0.start();
  ASSERT_NE(tx, 0U);
  EXPECT_EQ(dom0.write("/a", "new", tx), kOk);
  EXPECT_EQ(dom0.write("/b/c", "made", tx), kOk);
  EXPECT_EQ(dom0.read("/a", tx), Result("new"));
  EXPECT_EQ(dom0.directory("/b", tx), Result("c "));
  EXPECT_EQ(other.read("/a"), Result("old"));
  EXPECT_EQ(dom0.read("/b/c"), failure("ENOENT"));
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(other.read("/a"), Result("new"));
  EXPECT_EQ(other.read("/b/c"), Result("made"));
}

TEST_F(TransactionTest, AbortLeavesNothing) {
  const auto digest = world.machine.tree_digest();
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/x/y", "1", tx), kOk);
  EXPECT_EQ(dom0.rm("/tool", tx), kOk);
  EXPECT_EQ(dom0.abort(tx), kOk);
  EXPECT_EQ(world.machine.tree_digest(), digest);
  EXPECT_EQ(dom0.read("/x/y", tx), failure("ENOENT")) << "the id is gone";
}

TEST_F(TransactionTest, IdsAndNesting) {
  EXPECT_EQ(dom0.commit(0), failure("ENOENT"));
  EXPECT_EQ(dom0.commit(77), failure("ENOENT"));
  EXPECT_EQ(dom0.read("/", 77), failure("ENOENT"));
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.call(MessageType::transaction_start, strings({""}), tx), failure("EBUSY"));
  EXPECT_EQ(other.read("/", tx), failure("ENOENT")) << "ids are the connection's own";
  EXPECT_EQ(dom0.end(tx, "X"), failure("EINVAL"));
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(dom0.commit(tx), failure("ENOENT"));
}

TEST_F(TransactionTest, AReadValueThatChangedConflicts) {
  EXPECT_EQ(dom0.write("/a", "1"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.read("/a", tx), Result("1"));
  EXPECT_EQ(dom0.write("/b", "from 1", tx), kOk);
  EXPECT_EQ(other.write("/a", "2"), kOk);
  EXPECT_EQ(dom0.read("/a", tx), Result("1")) << "a snapshot";
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
  EXPECT_EQ(dom0.read("/b"), failure("ENOENT"));
}

TEST_F(TransactionTest, AnAbsenceThatEndedConflicts) {
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.read("/lock", tx), failure("ENOENT"));
  EXPECT_EQ(dom0.write("/lock", "mine", tx), kOk);
  EXPECT_EQ(other.write("/lock", "theirs"), kOk);
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
  EXPECT_EQ(dom0.read("/lock"), Result("theirs"));
}

TEST_F(TransactionTest, AListedDirectoryThatChangedConflicts) {
  EXPECT_EQ(dom0.mkdir("/dir/a"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.directory("/dir", tx), Result("a "));
  EXPECT_EQ(other.mkdir("/dir/b"), kOk);
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
}

TEST_F(TransactionTest, ReadPermissionsThatChangedConflict) {
  EXPECT_EQ(dom0.mkdir("/p"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.get_perms("/p", tx), Result("n0 "));
  EXPECT_EQ(other.set_perms("/p", {"n0", "r5"}), kOk);
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
}

// An unprivileged client's success depends on its rights: if they were withdrawn meanwhile, the
// transaction must not go through.
TEST_F(TransactionTest, LostRightsConflict) {
  EXPECT_EQ(dom0.write("/shared", "x"), kOk);
  EXPECT_EQ(dom0.set_perms("/shared", {"n0", "b5"}), kOk);
  MachineClient guest = world.create_guest(5);
  const std::uint32_t tx = guest.start();
  EXPECT_EQ(guest.write("/shared", "y", tx), kOk);
  EXPECT_EQ(dom0.set_perms("/shared", {"n0"}), kOk);
  EXPECT_EQ(guest.commit(tx), failure("EAGAIN"));
  EXPECT_EQ(dom0.read("/shared"), Result("x"));
}

TEST_F(TransactionTest, DifferentChildrenOfOneParentDoNotConflict) {
  EXPECT_EQ(dom0.mkdir("/dir"), kOk);
  const std::uint32_t one = dom0.start();
  const std::uint32_t two = other.start();
  EXPECT_EQ(dom0.write("/dir/one", "1", one), kOk);
  EXPECT_EQ(other.write("/dir/two", "2", two), kOk);
  EXPECT_EQ(dom0.write("/dir/three", "3"), kOk);
  EXPECT_EQ(dom0.commit(one), kOk);
  EXPECT_EQ(other.commit(two), kOk);
  EXPECT_EQ(dom0.directory("/dir"), Result("one three two "));
}

TEST_F(TransactionTest, OverwritingWithoutReadingDoesNotConflict) {
  EXPECT_EQ(dom0.write("/a", "0"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/a", "last", tx), kOk);
  EXPECT_EQ(dom0.read("/a", tx), Result("last")) << "reading one's own write is no reading";
  EXPECT_EQ(other.write("/a", "1"), kOk);
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(dom0.read("/a"), Result("last"));
}

TEST_F(TransactionTest, MakingTheSameParentTwiceConflicts) {
  const std::uint32_t one = dom0.start();
  const std::uint32_t two = other.start();
  EXPECT_EQ(dom0.write("/new/a", "1", one), kOk);
  EXPECT_EQ(other.write("/new/b", "2", two), kOk);
  EXPECT_EQ(dom0.commit(one), kOk);
  EXPECT_EQ(other.commit(two), failure("EAGAIN"));
}

TEST_F(TransactionTest, AParentThatWentConflicts) {
  EXPECT_EQ(dom0.mkdir("/dir/sub"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/dir/sub/a", "1", tx), kOk);
  EXPECT_EQ(other.rm("/dir"), kOk);
  EXPECT_EQ(dom0.commit(tx), failure("EAGAIN"));
  EXPECT_EQ(dom0.directory("/"), Result("tool "));
}

TEST_F(TransactionTest, RemovalTakesWhatOthersAddedBelow) {
  EXPECT_EQ(dom0.mkdir("/dir/old"), kOk);
  EXPECT_EQ(dom0.watch("/dir/new", "w"), kOk);
  (void)dom0.events();
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.rm("/dir", tx), kOk);
  EXPECT_EQ(other.write("/dir/new", "x"), kOk);
  EXPECT_EQ(dom0.events(), (std::vector<Event>{{"/dir/new", "w"}}));
  EXPECT_EQ(dom0.commit(tx), kOk) << "as if all of it ran after the write";
  EXPECT_EQ(dom0.directory("/"), Result("tool "));
  EXPECT_EQ(dom0.events(), (std::vector<Event>{{"/dir/new", "w"}}));
}

TEST_F(TransactionTest, RemoveAndMakeAgain) {
  EXPECT_EQ(dom0.write("/dir/a/deep", "1"), kOk);
  EXPECT_EQ(dom0.write("/dir/b", "2"), kOk);
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/dir/c", "3", tx), kOk);
  EXPECT_EQ(dom0.write("/dir/b", "changed", tx), kOk);
  EXPECT_EQ(dom0.rm("/dir", tx), kOk);
  EXPECT_EQ(dom0.read("/dir/b", tx), failure("ENOENT"));
  EXPECT_EQ(dom0.write("/dir/c", "again", tx), kOk);
  EXPECT_EQ(dom0.mkdir("/dir/a", tx), kOk);
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(dom0.directory("/dir"), Result("a c "));
  EXPECT_EQ(dom0.read("/dir/c"), Result("again"));
  EXPECT_EQ(dom0.directory("/dir/a"), Result(""));
}

TEST_F(TransactionTest, PermissionsSetInsideApplyInside) {
  MachineClient guest = world.create_guest(5);
  const std::uint32_t tx = guest.start();
  EXPECT_EQ(guest.write("a/b", "1", tx), kOk);
  EXPECT_EQ(guest.set_perms("a", {"n5", "r6"}, tx), kOk);
  EXPECT_EQ(guest.write("a/c", "2", tx), kOk);
  EXPECT_EQ(guest.commit(tx), kOk);
  EXPECT_EQ(dom0.get_perms("/local/domain/5/a"), Result("n5 r6 "));
  EXPECT_EQ(dom0.get_perms("/local/domain/5/a/b"), Result("n5 "));
  EXPECT_EQ(dom0.get_perms("/local/domain/5/a/c"), Result("n5 r6 "));
}

TEST_F(TransactionTest, EventsComeAtTheEndInOrder) {
  EXPECT_EQ(dom0.write("/gone/child", "x"), kOk);
  EXPECT_EQ(other.watch("/", "w"), kOk);
  EXPECT_EQ(other.watch("/gone/child", "c"), kOk);
  (void)other.events();
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/z", "1", tx), kOk);
  EXPECT_EQ(dom0.rm("/gone", tx), kOk);
  EXPECT_EQ(dom0.write("/a", "2", tx), kOk);
  EXPECT_EQ(dom0.write("/z", "3", tx), kOk);
  EXPECT_EQ(dom0.write("/passing", "4", tx), kOk);
  EXPECT_EQ(dom0.rm("/passing", tx), kOk);
  EXPECT_EQ(other.events(), std::vector<Event>{});
  EXPECT_EQ(dom0.commit(tx), kOk);
  EXPECT_EQ(other.events(),
            (std::vector<Event>{{"/z", "w"}, {"/gone", "w"}, {"/gone/child", "c"}, {"/a", "w"}}));
}

TEST_F(TransactionTest, WatchesIgnoreTheId) {
  EXPECT_EQ(dom0.call(MessageType::watch, strings({"/a", "t"}), 99), Result(std::string("OK", 3)));
  EXPECT_EQ(dom0.call(MessageType::unwatch, strings({"/a", "t"}), 99),
            Result(std::string("OK", 3)));
}

TEST_F(TransactionTest, NodeQuotaIsCheckedAtTheEndAsAWhole) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "5"}), Result("OK"));
  const std::uint32_t one = guest.start();
  const std::uint32_t two = guest.start();
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(guest.mkdir(std::string("one") + name, one), kOk);
    EXPECT_EQ(guest.mkdir(std::string("two") + name, two), kOk);
  }
  EXPECT_EQ(guest.commit(one), kOk);
  const auto digest = world.machine.tree_digest();
  const auto refusals = world.machine.statistics().refusals;
  EXPECT_EQ(guest.mkdir("twoc", two), failure("ENOSPC"));
  EXPECT_EQ(guest.commit(two), kOk) << "home, two and two are five";
  EXPECT_NE(world.machine.tree_digest(), digest);
  EXPECT_EQ(world.machine.statistics().refusals, refusals + 1);

  const std::uint32_t three = guest.start();
  EXPECT_EQ(guest.rm("twoa", three), kOk);
  EXPECT_EQ(guest.mkdir("three", three), kOk) << "what was removed frees its place";
  const std::uint32_t four = guest.start();
  EXPECT_EQ(guest.rm("twob", four), kOk);
  EXPECT_EQ(guest.mkdir("four", four), kOk);
  EXPECT_EQ(dom0.rm("/local/domain/5/twob"), kOk);
  EXPECT_EQ(dom0.mkdir("/local/domain/5/filler"), kOk);
  EXPECT_EQ(dom0.set_perms("/local/domain/5/filler", {"n5"}), kOk);
  EXPECT_EQ(guest.commit(three), kOk);
  EXPECT_EQ(guest.commit(four), failure("EAGAIN"));
}

TEST_F(TransactionTest, ACommitThatWouldExceedTheQuotaChangesNothing) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(dom0.control({"quota", "set", "nodes", "3"}), Result("OK"));
  const std::uint32_t tx = guest.start();
  EXPECT_EQ(guest.mkdir("a", tx), kOk);
  EXPECT_EQ(guest.mkdir("b", tx), kOk);
  EXPECT_EQ(guest.mkdir("outside"), kOk);
  const auto digest = world.machine.tree_digest();
  EXPECT_EQ(guest.commit(tx), failure("ENOSPC"));
  EXPECT_EQ(world.machine.tree_digest(), digest);
}

TEST_F(TransactionTest, ANewDigestIsTheSumOfWhatIsThere) {
  const std::uint32_t tx = dom0.start();
  EXPECT_EQ(dom0.write("/a/b", "1", tx), kOk);
  EXPECT_EQ(dom0.set_perms("/a", {"r0"}, tx), kOk);
  EXPECT_EQ(dom0.commit(tx), kOk);
  World twin;
  EXPECT_EQ(twin.dom0.mkdir("/a"), kOk);
  EXPECT_EQ(twin.dom0.mkdir("/a/c"), kOk);
  EXPECT_EQ(twin.dom0.write("/a/b", "2"), kOk);
  EXPECT_EQ(twin.dom0.set_perms("/a", {"r0"}), kOk);
  EXPECT_EQ(twin.dom0.rm("/a/c"), kOk);
  EXPECT_NE(twin.machine.tree_digest(), world.machine.tree_digest());
  EXPECT_EQ(twin.dom0.write("/a/b", "1"), kOk);
  EXPECT_EQ(twin.machine.tree_digest(), world.machine.tree_digest());
}

}  // namespace
}  // namespace ppvmm::test

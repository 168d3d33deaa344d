// Watches: who is told of what, and how.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

using Events = std::vector<Event>;

class WatchTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(world.dom0.control({"check"}), Result("OK")); }

  World world;
  MachineClient& dom0 = world.dom0;
  MachineClient watcher = world.connect();
};

TEST_F(WatchTest, FiresOnceAtRegistrationAfterTheAnswer) {
  (void)watcher.send(MessageType::watch, strings({"/not/there", "token"}));
  const auto sent = world.machine.to_send(watcher.connection());
  MessageHeader first;
  ASSERT_GE(sent.size(), sizeof(first));
  std::memcpy(&first, sent.data(), sizeof(first));
  EXPECT_EQ(first.type, MessageType::watch) << "the answer comes before the event";
  EXPECT_EQ(watcher.events(), (Events{{"/not/there", "token"}}));
}

TEST_F(WatchTest, SeesTheNodeAndAllBelow) {
  EXPECT_EQ(watcher.watch("/a", "t"), kOk);
  (void)watcher.events();
  EXPECT_EQ(dom0.write("/a", "1"), kOk);
  EXPECT_EQ(dom0.write("/a/b/c", "1"), kOk);
  EXPECT_EQ(dom0.mkdir("/a/d"), kOk);
  EXPECT_EQ(dom0.mkdir("/a/d"), kOk) << "there already: nothing changed";
  EXPECT_EQ(dom0.set_perms("/a/d", {"r0"}), kOk);
  EXPECT_EQ(dom0.write("/ab", "1"), kOk) << "a longer name is no child";
  EXPECT_EQ(dom0.rm("/a/none"), kOk);
  EXPECT_EQ(watcher.events(), (Events{{"/a", "t"}, {"/a/b/c", "t"}, {"/a/d", "t"}}))
      << "an event that waits already is not repeated";
  EXPECT_EQ(dom0.write("/a/d", "2"), kOk);
  EXPECT_EQ(watcher.events(), (Events{{"/a/d", "t"}}));
}

TEST_F(WatchTest, RemovalTellsEveryWatchBelow) {
  EXPECT_EQ(dom0.write("/a/b/c", "1"), kOk);
  EXPECT_EQ(dom0.write("/a/d", "1"), kOk);
  for (const char* path : {"/", "/a", "/a/b", "/a/b/c", "/a/d", "/a/none"}) {
    EXPECT_EQ(watcher.watch(path, path), kOk);
  }
  (void)watcher.events();
  EXPECT_EQ(dom0.rm("/a"), kOk);
  EXPECT_EQ(
      watcher.events(),
      (Events{
          {"/a/b/c", "/a/b/c"}, {"/a/b", "/a/b"}, {"/a/d", "/a/d"}, {"/a", "/"}, {"/a", "/a"}}));
}

TEST_F(WatchTest, OrderOfRegistrationIsTheOrderOfEvents) {
  EXPECT_EQ(watcher.watch("/a/b", "1"), kOk);
  EXPECT_EQ(watcher.watch("/", "2"), kOk);
  EXPECT_EQ(watcher.watch("/a", "3"), kOk);
  EXPECT_EQ(watcher.watch("/a/b", "4"), kOk);
  (void)watcher.events();
  EXPECT_EQ(dom0.write("/a/b", "x"), kOk);
  EXPECT_EQ(watcher.events(), (Events{{"/a/b", "1"}, {"/a/b", "2"}, {"/a/b", "3"}, {"/a/b", "4"}}));
}

TEST_F(WatchTest, DuplicatesAndUnwatch) {
  EXPECT_EQ(watcher.watch("/a", "t"), kOk);
  EXPECT_EQ(watcher.watch("/a", "t"), failure("EEXIST"));
  EXPECT_EQ(watcher.watch("/a", "u"), kOk);
  EXPECT_EQ(dom0.watch("/a", "t"), kOk) << "others have their own";
  EXPECT_EQ(watcher.unwatch("/a", "none"), failure("ENOENT"));
  EXPECT_EQ(watcher.unwatch("/b", "t"), failure("ENOENT"));
  EXPECT_EQ(watcher.unwatch("/a", "t"), kOk);
  EXPECT_EQ(watcher.unwatch("/a", "t"), failure("ENOENT"));
  (void)watcher.events();
  EXPECT_EQ(dom0.write("/a", "1"), kOk);
  EXPECT_EQ(watcher.events(), (Events{{"/a", "u"}}));
}

TEST_F(WatchTest, MalformedRequests) {
  EXPECT_EQ(watcher.call(MessageType::watch, strings({"/a"})), failure("EINVAL"));
  EXPECT_EQ(watcher.call(MessageType::watch, strings({"/a", "t", "x"})), failure("EINVAL"));
  EXPECT_EQ(watcher.watch("/a/", "t"), failure("EINVAL"));
  EXPECT_EQ(watcher.watch("", "t"), failure("EINVAL"));
  EXPECT_EQ(watcher.call(MessageType::unwatch, strings({"/a"})), failure("EINVAL"));
}

TEST_F(WatchTest, RelativeWatchesShowRelativePaths) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(guest.watch("data", "t"), kOk);
  EXPECT_EQ(guest.watch("/local/domain/5/data", "t"), failure("EEXIST")) << "the same node";
  EXPECT_EQ(guest.events(), (Events{{"data", "t"}}));
  EXPECT_EQ(dom0.write("/local/domain/5/data/x", "1"), kOk);
  EXPECT_EQ(guest.events(), (Events{{"data/x", "t"}}));
}

TEST_F(WatchTest, TheHomeDirectoryItselfIsNoRelativePath) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(guest.watch("/local/domain/5", "t"), kOk);
  (void)guest.events();
  EXPECT_EQ(guest.write("x", "1"), kOk);
  EXPECT_EQ(guest.events(), (Events{{"/local/domain/5/x", "t"}}));
}

TEST_F(WatchTest, IntroductionAndRelease) {
  EXPECT_EQ(watcher.watch("@introduceDomain", "i"), kOk);
  EXPECT_EQ(watcher.watch("@releaseDomain", "r"), kOk);
  EXPECT_EQ(watcher.watch("/", "all"), kOk);
  (void)watcher.events();
  (void)world.introduce(5);
  EXPECT_EQ(watcher.events(), (Events{{"@introduceDomain", "i"}}));
  (void)world.introduce(5);
  EXPECT_EQ(watcher.events(), Events{}) << "introduced again: nobody is told";
  world.machine.domain_shutdown(5);
  world.machine.domain_shutdown(5);
  EXPECT_EQ(watcher.events(), (Events{{"@releaseDomain", "r"}})) << "once";
  EXPECT_EQ(dom0.resume(5), kOk);
  world.machine.domain_shutdown(5);
  EXPECT_EQ(watcher.events(), (Events{{"@releaseDomain", "r"}})) << "armed again";
  world.machine.domain_dead(5);
  EXPECT_EQ(watcher.events(), (Events{{"@releaseDomain", "r"}}));
  (void)world.introduce(6);
  (void)watcher.events();
  EXPECT_EQ(dom0.release(6), kOk);
  EXPECT_EQ(watcher.events(), (Events{{"@releaseDomain", "r"}}));
}

TEST_F(WatchTest, LosingTheRightToReadIsTold) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(dom0.write("/x/y", "1"), kOk);
  EXPECT_EQ(dom0.set_perms("/x/y", {"n0", "r5"}), kOk);
  EXPECT_EQ(guest.watch("/x/y", "t"), kOk);
  (void)guest.events();
  EXPECT_EQ(dom0.set_perms("/x/y", {"n0"}), kOk);
  EXPECT_EQ(guest.events(), (Events{{"/x/y", "t"}}));
  EXPECT_EQ(dom0.write("/x/y", "2"), kOk);
  EXPECT_EQ(guest.events(), Events{});
}

TEST_F(WatchTest, ResetDropsWatchesAndTransactions) {
  EXPECT_EQ(watcher.watch("/a", "t"), kOk);
  const std::uint32_t tx = watcher.start();
  EXPECT_EQ(watcher.write("/in/tx", "1", tx), kOk);
  EXPECT_EQ(watcher.reset_watches(), kOk);
  (void)watcher.events();
  EXPECT_EQ(dom0.write("/a", "1"), kOk);
  EXPECT_EQ(watcher.events(), Events{});
  EXPECT_EQ(watcher.commit(tx), failure("ENOENT"));
  EXPECT_EQ(watcher.watch("/a", "t"), kOk) << "the name is free again";
}

TEST_F(WatchTest, GoWithTheirConnection) {
  EXPECT_EQ(watcher.watch("/a", "t"), kOk);
  EXPECT_EQ(world.machine.statistics().watches, 1U);
  world.machine.disconnect(watcher.connection());
  EXPECT_EQ(world.machine.statistics().watches, 0U);
  EXPECT_EQ(dom0.write("/a", "1"), kOk);
}

}  // namespace
}  // namespace ppvmm::test

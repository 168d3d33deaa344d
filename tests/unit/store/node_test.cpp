// READ, WRITE, MKDIR, RM, DIRECTORY and permissions over the wire.
#include <gtest/gtest.h>

#include <string>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

class NodeTest : public testing::Test {
 protected:
  // Every test ends with a machine that agrees with itself.
  void TearDown() override { EXPECT_EQ(world.dom0.control({"check"}), Result("OK")); }

  World world;
  MachineClient& dom0 = world.dom0;
};

TEST_F(NodeTest, ReadsBackWhatWasWritten) {
  EXPECT_EQ(dom0.write("/a/b/c", "value"), kOk);
  EXPECT_EQ(dom0.read("/a/b/c"), Result("value"));
  EXPECT_EQ(dom0.read("/a/b"), Result(""));
  EXPECT_EQ(dom0.write("/a/b/c", "a much longer value that does not fit into the old block"), kOk);
  EXPECT_EQ(dom0.read("/a/b/c"),
            Result("a much longer value that does not fit into the old block"));
  EXPECT_EQ(dom0.write("/a/b/c", ""), kOk);
  EXPECT_EQ(dom0.read("/a/b/c"), Result(""));
}

TEST_F(NodeTest, ValuesAreBinary) {
  const std::string value("\0\xff\n\0", 4);
  EXPECT_EQ(dom0.write("/bin", value), kOk);
  EXPECT_EQ(dom0.read("/bin"), Result(value));
}

TEST_F(NodeTest, StartsWithTheInitialTree) {
  EXPECT_EQ(dom0.directory("/"), Result("tool "));
  EXPECT_EQ(dom0.directory("/tool"), Result("xenstored "));
  EXPECT_EQ(dom0.get_perms("/"), Result("n0 "));
  EXPECT_EQ(dom0.get_perms("@releaseDomain"), Result("n0 "));
}

TEST_F(NodeTest, DirectoriesAreSortedByName) {
  for (const char* name : {"zebra", "apple", "mango", "Apple", "a", "apples", "10", "9"}) {
    EXPECT_EQ(dom0.mkdir(std::string("/dir/") + name), kOk);
  }
  EXPECT_EQ(dom0.directory("/dir"), Result("10 9 Apple a apple apples mango zebra "));
}

TEST_F(NodeTest, BigDirectoriesComeInParts) {
  std::string expected;
  for (int i = 1000; i < 3000; ++i) {
    const std::string name = "node" + std::to_string(i);
    ASSERT_EQ(dom0.mkdir("/big/" + name), kOk);
    expected += name + '\0';
  }
  EXPECT_EQ(dom0.directory("/big"), failure("E2BIG"));
  std::string listing;
  std::string generation;
  for (;;) {
    const Result part =
        dom0.call(MessageType::directory_part, strings({"/big", std::to_string(listing.size())}));
    ASSERT_TRUE(part) << part;
    ASSERT_LE(part->size(), store::kPayloadMax);
    const std::string shown = part->c_str();
    EXPECT_TRUE(generation.empty() || generation == shown);
    generation = shown;
    std::string names = part->substr(generation.size() + 1);
    const bool last = names.size() < 2 || names.substr(names.size() - 2) == std::string(2, '\0');
    if (last) names.pop_back();
    listing += names;
    if (last) break;
  }
  EXPECT_EQ(listing, expected);
  // A change of the directory shows in the generation, and beyond the end there is only the end.
  EXPECT_EQ(dom0.rm("/big/node1500"), kOk);
  const Result after =
      dom0.call(MessageType::directory_part, strings({"/big", std::to_string(1 << 20)}));
  ASSERT_TRUE(after);
  EXPECT_NE(std::string(after->c_str()), generation);
  EXPECT_EQ(after->size(), std::string(after->c_str()).size() + 2);
}

TEST_F(NodeTest, MissingNodes) {
  EXPECT_EQ(dom0.read("/missing"), failure("ENOENT"));
  EXPECT_EQ(dom0.directory("/missing/deep"), failure("ENOENT"));
  EXPECT_EQ(dom0.get_perms("/missing"), failure("ENOENT"));
  EXPECT_EQ(dom0.set_perms("/missing", {"n0"}), failure("ENOENT"));
}

TEST_F(NodeTest, RemovalTakesTheSubtree) {
  EXPECT_EQ(dom0.write("/a/b/c", "1"), kOk);
  EXPECT_EQ(dom0.write("/a/d", "2"), kOk);
  EXPECT_EQ(dom0.rm("/a/b"), kOk);
  EXPECT_EQ(dom0.read("/a/b/c"), failure("ENOENT"));
  EXPECT_EQ(dom0.directory("/a"), Result("d "));
  // Gone already is fine if the parent is there.
  EXPECT_EQ(dom0.rm("/a/b"), kOk);
  EXPECT_EQ(dom0.rm("/no/such"), failure("ENOENT"));
  EXPECT_EQ(dom0.rm("/"), failure("EINVAL"));
}

TEST_F(NodeTest, MalformedPathsAndPayloads) {
  for (const char* path : {"", "/a/", "//", "/a//b", "/a b", "/a\n", "/%", "a/"}) {
    EXPECT_EQ(dom0.read(path), failure("EINVAL")) << path;
    EXPECT_EQ(dom0.write(path, "x"), failure("EINVAL")) << path;
  }
  EXPECT_EQ(dom0.read("@releaseDomain"), failure("EINVAL"));
  EXPECT_EQ(dom0.call(MessageType::read, "/a"), failure("EINVAL")) << "no NUL";
  EXPECT_EQ(dom0.call(MessageType::read, strings({"/a", "b"})), failure("EINVAL"));
  EXPECT_EQ(dom0.call(MessageType::read, ""), failure("EINVAL"));
  EXPECT_EQ(dom0.call(MessageType::write, "/a"), failure("EINVAL"));
}

TEST_F(NodeTest, RelativePathsAreBelowTheDomainsHome) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(guest.write("data/x", "1"), kOk);
  EXPECT_EQ(dom0.read("/local/domain/5/data/x"), Result("1"));
  EXPECT_EQ(dom0.write("y", "2"), kOk);
  EXPECT_EQ(dom0.read("/local/domain/0/y"), Result("2"));
}

TEST_F(NodeTest, UnknownOperations) {
  for (const std::uint32_t type : {15U, 16U, 20U, 23U, 0xFFFFU, 0xFFFFFFFFU}) {
    EXPECT_EQ(dom0.call(MessageType{type}, strings({"/"})), failure("ENOSYS")) << type;
  }
}

TEST_F(NodeTest, PermissionsAreInheritedAndCreatorsOwn) {
  EXPECT_EQ(dom0.mkdir("/shared"), kOk);
  EXPECT_EQ(dom0.set_perms("/shared", {"r0", "b5"}), kOk);
  MachineClient guest = world.introduce(5);
  MachineClient other = world.introduce(6);
  EXPECT_EQ(guest.write("/shared/a/b", "mine"), kOk);
  EXPECT_EQ(dom0.get_perms("/shared/a"), Result("r5 b5 "));
  EXPECT_EQ(dom0.get_perms("/shared/a/b"), Result("r5 b5 "));
  EXPECT_EQ(other.read("/shared/a/b"), Result("mine"));
  EXPECT_EQ(other.write("/shared/a/b", "no"), failure("EACCES"));
  EXPECT_EQ(other.rm("/shared/a/b"), failure("EACCES"));
}

TEST_F(NodeTest, TheErrorDoesNotTellWhatMayNotBeSeen) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(dom0.write("/secret/node", "x"), kOk);
  EXPECT_EQ(guest.read("/secret/node"), failure("EACCES"));
  EXPECT_EQ(guest.read("/secret/none"), failure("EACCES"));
  EXPECT_EQ(guest.read("/nowhere/at/all"), failure("EACCES"));
  EXPECT_EQ(guest.read("none"), failure("ENOENT"));
  EXPECT_EQ(guest.rm("/secret/node"), failure("EACCES"));
  EXPECT_EQ(guest.mkdir("/secret/none"), failure("EACCES"));
}

TEST_F(NodeTest, OnlyDomainZeroChangesOwners) {
  MachineClient guest = world.create_guest(5);
  EXPECT_EQ(guest.write("x", "1"), kOk);
  EXPECT_EQ(guest.set_perms("x", {"n5", "r6"}), kOk);
  EXPECT_EQ(guest.set_perms("x", {"n6"}), failure("EPERM"));
  EXPECT_EQ(dom0.set_perms("/local/domain/5/x", {"n6", "r5"}), kOk);
  EXPECT_EQ(guest.set_perms("x", {"n6"}), failure("EACCES")) << "it can read, but is no owner";
  EXPECT_EQ(guest.get_perms("x"), Result("n6 r5 "));
}

TEST_F(NodeTest, MalformedPermissions) {
  EXPECT_EQ(dom0.mkdir("/p"), kOk);
  for (const char* bad : {"", "r", "x0", "r-1", "r65536", "r1x", "rr1", " r1"}) {
    EXPECT_EQ(dom0.set_perms("/p", {bad}), failure("EINVAL")) << bad;
  }
  EXPECT_EQ(dom0.set_perms("/p", {}), failure("EINVAL"));
  EXPECT_EQ(dom0.set_perms("/p", {"b1", "w2", "n3", "r4"}), kOk);
  EXPECT_EQ(dom0.get_perms("/p"), Result("b1 w2 n3 r4 "));
}

}  // namespace
}  // namespace ppvmm::test

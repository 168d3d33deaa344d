// The idle check walks the whole tree in pieces, whatever happens to the tree in between.
#include "store/scrub.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "store/state.hpp"

namespace ppvmm::store {
namespace {

class ScrubTest : public ::testing::Test {
 protected:
  void add(const std::string& path) {
    state_.tree.create(path, "value of " + path, state_.tree.find("/").node->permissions,
                       ++state_.generation);
  }

  /// Paths in the order in which single steps of the check visit them, until it begins anew.
  std::vector<std::string> visited() {
    std::vector<std::string> paths;
    while (!scrub(state_, cursor_, 1).finished)
      paths.push_back(cursor_.path);
    return paths;
  }

  /// Paths by a walk that has nothing in common with the one under test but the tree.
  std::vector<std::string> all() {
    std::vector<std::string> paths;
    const Node& anchor = *state_.tree.anchor();
    walk(
        anchor, anchor, "",
        [&](const Visit& visit) {
          if (!visit.path.empty()) paths.push_back(visit.path);
          return true;
        },
        [](const Visit&) {});
    return paths;
  }

  State state_{Options{}};
  ScrubCursor cursor_;
};

TEST_F(ScrubTest, SingleStepsMeetEveryNodeOnce) {
  for (const char* path : {"/a/b/c/d", "/a/b/c2", "/a/b-c", "/ab", "/z/y", "/a/b/c/e/f/g"})
    add(path);
  EXPECT_EQ(visited(), all());
  EXPECT_EQ(visited(), all()) << "and begin anew";
}

TEST_F(ScrubTest, PiecesOfAnySizeAddUpToTheTree) {
  std::mt19937 random{7};
  const auto below = [&](int limit) { return std::uniform_int_distribution{0, limit - 1}(random); };
  for (int i = 0; i < 300; ++i) {
    std::string path;
    for (int depth = 1 + below(5); depth > 0; --depth)
      path += "/n" + std::to_string(below(9));
    if (state_.tree.find(path).node == nullptr) add(path);
  }
  for (int turn = 0; turn < 50; ++turn) {
    std::size_t nodes = 0;
    while (true) {
      const Scrubbed piece = scrub(state_, cursor_, 1 + static_cast<std::size_t>(below(40)));
      nodes += piece.nodes;
      ASSERT_EQ(piece.corrupt, "");
      if (piece.finished) break;
    }
    EXPECT_EQ(nodes, all().size());
  }
}

TEST_F(ScrubTest, NodesThatStayAreMetThoughOthersGo) {
  for (int i = 0; i < 40; ++i)
    for (int j = 0; j < 5; ++j)
      add("/d" + std::to_string(i) + "/c" + std::to_string(j));
  for (int offset = 0; offset < 60; ++offset) {
    std::set<std::string> met;
    for (int step = 0; !scrub(state_, cursor_, 1).finished; ++step) {
      met.insert(cursor_.path);
      // The very place where the check stands goes, with all below it, and comes back later.
      if (step == offset && cursor_.path != "/" && cursor_.path[0] == '/')
        state_.tree.erase(cursor_.path, ++state_.generation);
    }
    for (const std::string& path : all())
      EXPECT_TRUE(met.contains(path)) << path << " at offset " << offset;
  }
}

TEST_F(ScrubTest, ARottenNodeIsNamed) {
  for (const char* path : {"/a/b/c", "/a/d", "/e"})
    add(path);
  auto* const node = const_cast<Node*>(state_.tree.find("/a/d").node);
  node->checksum ^= 1;
  const Scrubbed found = scrub(state_, cursor_, 1000);
  EXPECT_EQ(found.corrupt, "/a/d");
  EXPECT_FALSE(found.finished);
  node->checksum ^= 1;
  EXPECT_TRUE(scrub(state_, cursor_, 1000).finished) << "goes on behind it";
}

}  // namespace
}  // namespace ppvmm::store

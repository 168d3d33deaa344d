// A node is never said to be missing because a bit of some other node is wrong.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/children.hpp"
#include "store/machine.hpp"
#include "store/state.hpp"

namespace ppvmm::store {
namespace {

class AbsenceTest : public ::testing::Test {
 protected:
  AbsenceTest() {
    for (int i = 0; i < 40; ++i) {
      // Names that differ within their first eight bytes, and names that do not.
      names_.push_back(i % 2 == 0 ? "n" + std::to_string(i) : "longer-name-" + std::to_string(i));
      state_.tree.create("/d/" + names_.back(), "value", state_.tree.find("/").node->permissions,
                         ++state_.generation);
    }
  }

  [[nodiscard]] const Node* directory() { return state_.tree.find("/d").node->children; }

  /// Looks all names up while one bit is wrong. Who finds nothing must know why.
  void all_found_or_noticed(const std::string& what) {
    for (const std::string& name : names_) {
      const Node* const found = find_child(directory(), name);
      if (found != nullptr) {
        EXPECT_TRUE(found->name() == name || !found->intact()) << what << ", " << name;
      } else {
        EXPECT_FALSE(search_intact(directory(), name)) << what << ", " << name;
      }
    }
  }

  State state_{Options{}};
  std::vector<std::string> names_;
};

TEST_F(AbsenceTest, OfWhatIsNotThereNothingIsWrong) {
  for (const char* name : {"", "a", "n", "n99", "longer-name-", "longer-name-77", "zzz"}) {
    ASSERT_EQ(find_child(directory(), name), nullptr);
    EXPECT_TRUE(search_intact(directory(), name)) << name;
  }
}

TEST_F(AbsenceTest, AnyBitOfAnyName) {
  for (const std::string& name : names_) {
    auto* const text = const_cast<char*>(find_child(directory(), name)->name().data());
    for (std::size_t bit = 0; bit < 8 * name.size(); ++bit) {
      const auto flip = [&] { text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8); };
      flip();
      all_found_or_noticed(name + ", bit " + std::to_string(bit));
      flip();
    }
  }
}

TEST_F(AbsenceTest, AnyBitOfAnyPrefix) {
  for (const std::string& name : names_) {
    auto* const node = const_cast<Node*>(find_child(directory(), name));
    for (unsigned bit = 0; bit < 64; ++bit) {
      node->prefix ^= std::uint64_t{1} << bit;
      all_found_or_noticed(name + ", bit " + std::to_string(bit) + " of its prefix");
      node->prefix ^= std::uint64_t{1} << bit;
    }
  }
}

}  // namespace
}  // namespace ppvmm::store

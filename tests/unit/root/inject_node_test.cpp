// Finding nodes by their shape: against nodes that the store itself made.
#include "root/inject_node.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "store/node.hpp"

namespace {

using namespace ppvmm;
using root::inject::text_of_node;

/// The block of a fresh node, as it lies in memory.
std::vector<std::byte> block_of(std::string_view name, std::string_view value) {
  store::PermissionTable permissions;
  store::NodeHeap heap;
  const std::array<store::Permission, 1> nobody{
      store::Permission{.domid = 0, .access = store::Access::none}};
  store::Node* const node = heap.make(name, value, permissions.intern(nobody));
  node->listing = static_cast<std::uint32_t>(name.size() + 1);  // as a directory sets it
  std::vector<std::byte> bytes(sizeof(store::Node) + name.size() + value.size());
  std::memcpy(bytes.data(), node, bytes.size());
  heap.release(node);
  return bytes;
}

TEST(InjectNode, FindsNodesOfAnyNameAndNothingElse) {
  for (const char* name :
       {"a", "domain", "a name that is longer than eight bytes", "@releaseDomain"}) {
    const auto bytes = block_of(name, "some value");
    const auto text = text_of_node(bytes, 0);
    ASSERT_TRUE(text) << name;
    EXPECT_EQ(text->offset, sizeof(store::Node));
    EXPECT_EQ(text->length, bytes.size() - sizeof(store::Node));
    EXPECT_FALSE(text_of_node(bytes, 16)) << name;
    EXPECT_FALSE(text_of_node(bytes, 8)) << name;
  }
  EXPECT_FALSE(text_of_node(std::vector<std::byte>(200), 0));
}

TEST(InjectNode, ANodeThatWasTouchedIsNone) {
  auto renamed = block_of("backend", "");
  renamed.at(sizeof(store::Node)) ^= std::byte{1};
  EXPECT_FALSE(text_of_node(renamed, 0));
  auto freed = block_of("backend", "");
  std::memset(freed.data(), 0, 8);
  EXPECT_FALSE(text_of_node(freed, 0));
  const auto cut = block_of("backend", "");
  EXPECT_FALSE(text_of_node(std::span(cut).first(cut.size() - 1), 0));
}

}  // namespace

// Loading a stream whose nodes come in any order: in that of a walk they are appended, else looked
// up, and the machine is the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "store/check.hpp"
#include "store/state.hpp"
#include "store/stream_format.hpp"
#include "store/tree_appender.hpp"
#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

using store::StreamError;
using store::stream::RecordType;

struct Record {
  std::uint32_t type{};
  std::vector<std::byte> body;

  [[nodiscard]] bool is(RecordType wanted) const {
    return type == static_cast<std::uint32_t>(wanted);
  }
};
using Records = std::vector<Record>;

Records records_of(std::span<const std::byte> stream) {
  Records records;
  auto reader = store::stream::Reader::open(stream);
  while (true) {
    const auto record = reader->next();
    if (!record || record->type == static_cast<std::uint32_t>(RecordType::end)) return records;
    records.push_back({record->type, {record->body.begin(), record->body.end()}});
  }
}

std::vector<std::byte> stream_of(const Records& records) {
  store::stream::Writer out;
  for (const Record& record : records) {
    out.begin(record.type);
    out.bytes(record.body);
    out.finish();
  }
  return out.end();
}

Record node(std::string_view path, std::string_view value = "value", char access = 'n') {
  store::stream::Writer out;
  out.begin(RecordType::node_data);
  out.u32(0);
  out.u32(0);
  out.u16(static_cast<std::uint16_t>(path.size() + 1));
  out.u16(static_cast<std::uint16_t>(value.size()));
  out.u16(0);
  out.u16(1);
  out.u8(static_cast<std::uint8_t>(access));
  out.u8(0);
  out.u16(0);
  out.terminated(path);
  out.text(value);
  out.finish();
  const auto stream = out.end();
  return std::move(records_of(stream).front());
}

Record transaction(std::uint32_t connection) {
  store::stream::Writer out;
  out.begin(RecordType::transaction_data);
  out.u32(connection);
  out.u32(1);
  out.finish();
  const auto stream = out.end();
  return std::move(records_of(stream).front());
}

std::string path_of(const Record& node) {
  store::stream::Fields fields{node.body};
  (void)fields.u64();  // connection and transaction
  const std::size_t length = fields.u16();
  (void)fields.u32();  // value length, accesses
  (void)fields.bytes(fields.u16() * std::size_t{4});
  return std::string{fields.terminated(length)};
}

/// Without our own records, whose place and size depend on the nodes.
void drop_own(Records& records) {
  std::erase_if(records,
                [](const Record& record) { return record.type >= store::stream::kOwnRecords; });
}

std::optional<StreamError> refusal(const Records& records) {
  const auto loaded = store::Machine::load({}, stream_of(records));
  return loaded ? std::nullopt : std::optional{loaded.error()};
}

class StreamOrderTest : public testing::Test {
 protected:
  StreamOrderTest() {
    for (const char* path :
         {"/", "/a", "/a/b", "/a/b/c", "/a/b-c", "/a/b0", "/a-", "/b", "/b/x/y/z", "/b/x/y/z0"}) {
      (void)world.dom0.write(path, "value");
    }
    for (int i = 0; i < 300; ++i)
      (void)world.dom0.write("/many/" + std::to_string(i * 7919 % 1000), std::to_string(i));
    (void)world.dom0.set_perms("/a/b", {"n0", "r5"});
    (void)world.dom0.set_perms("/many/0", {"b7"});
    original = records_of(world.machine.dump());
  }

  // Loads the records and compares the tree with the world's.
  void expect_same_tree(const Records& records) {
    auto loaded = store::Machine::load({}, stream_of(records));
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->tree_digest(), world.machine.tree_digest());
    MachineClient auditor{*loaded, loaded->connect_socket()};
    EXPECT_EQ(auditor.control({"check"}), Result("OK"));
    EXPECT_EQ(auditor.directory("/many"), world.dom0.directory("/many"));
    EXPECT_EQ(auditor.write("/many/5", "new"), kOk);
    EXPECT_EQ(auditor.rm("/many/0"), kOk);
    EXPECT_EQ(auditor.rm("/a/b"), kOk);
    EXPECT_EQ(auditor.write("/a/b/d", ""), kOk);
    EXPECT_EQ(auditor.control({"check"}), Result("OK"));
  }
  [[nodiscard]] std::pair<Records::iterator, Records::iterator> nodes() {
    const auto is_node = [](const Record& record) { return record.is(RecordType::node_data); };
    const auto first = std::ranges::find_if(original, is_node);
    return {first, std::find_if_not(first, original.end(), is_node)};
  }

  World world;
  Records original;
};

TEST_F(StreamOrderTest, OurOwnOrder) {
  expect_same_tree(original);
  drop_own(original);
  expect_same_tree(original);
}

TEST_F(StreamOrderTest, ParentsFirstAndNamesDescending) {
  drop_own(original);
  const auto [first, last] = nodes();
  std::sort(first, last, [](const Record& one, const Record& other) {
    const std::string here = path_of(one);
    const std::string there = path_of(other);
    // Shorter paths first keeps parents before their children.
    return here.size() != there.size() ? here.size() < there.size() : here > there;
  });
  expect_same_tree(original);
}

TEST_F(StreamOrderTest, OtherRecordsBetweenTheNodes) {
  const auto quotas = std::ranges::find_if(
      original, [](const Record& record) { return record.is(RecordType::global_quota_data); });
  const Record between = *quotas;
  Records mixed;
  for (const Record& record : original) {
    mixed.push_back(record);
    if (record.is(RecordType::node_data)) mixed.push_back(between);
  }
  expect_same_tree(mixed);
}

// A transaction's snapshot of a half loaded tree must not change with it, nor must it be half a
// search tree.
TEST_F(StreamOrderTest, TransactionsBetweenTheNodes) {
  drop_own(original);
  const auto connection = std::ranges::find_if(
      original, [](const Record& record) { return record.is(RecordType::connection_data); });
  ASSERT_NE(connection, original.end());
  std::uint32_t id = 0;
  std::memcpy(&id, connection->body.data(), sizeof id);
  std::rotate(original.begin(), connection, connection + 1);
  const auto [first, last] = nodes();
  original.insert(first + (last - first) / 2, transaction(id));
  expect_same_tree(original);
}

TEST_F(StreamOrderTest, RefusesWhatItAlwaysRefused) {
  const Record root = node("/");
  const std::string longest = '/' + std::string(store::kAbsolutePathMax - 1, 'x');
  EXPECT_EQ(refusal({root, node("/a"), node("/a/b"), node(longest)}), std::nullopt);
  EXPECT_EQ(refusal({root, node("/a"), node("/a")}), StreamError::duplicate);
  EXPECT_EQ(refusal({root, node("/a"), node("/b"), node("/a")}), StreamError::duplicate);
  EXPECT_EQ(refusal({root, node("/a"), node("/a/b"), node("/a/b")}), StreamError::duplicate);
  EXPECT_EQ(refusal({root, node("/a"), node("/")}), StreamError::duplicate);
  EXPECT_EQ(refusal({root, node("/a/b"), node("/a")}), StreamError::dangling);
  EXPECT_EQ(refusal({root, node("/ab"), node("/a/b")}), StreamError::dangling);
  EXPECT_EQ(refusal({root, node("/a"), node("/b"), node("/c/d")}), StreamError::dangling);
  EXPECT_EQ(refusal({root, node("@other")}), StreamError::dangling);
  for (const char* path : {"/a b", "/a//b", "/a/", "a", "", "/\x80", "/a/b\n"}) {
    EXPECT_EQ(refusal({root, node("/a"), node(path)}), StreamError::bad_record) << path;
  }
  EXPECT_EQ(refusal({root, node("/a"), node("/a/" + longest)}), StreamError::bad_record);
  EXPECT_EQ(refusal({root, node("/a"), node("/b", "", 'q')}), StreamError::bad_record);
}

TEST(TreeAppenderTest, DirectoriesOfAnySizeAreBalanced) {
  for (int size = 0; size <= 70; ++size) {
    store::State state{{}};
    state.tree.erase("/tool", state.generation);
    const store::PermissionRef permissions = state.tree.find("/").node->permissions;
    std::vector<std::string> paths{"/d"};
    for (int i = 0; i < size; ++i)
      paths.push_back("/d/" + std::to_string(100 + i));
    store::TreeAppender appender{state.tree};
    EXPECT_FALSE(appender.fits("/d"));  // nothing is open
    appender.open("/");
    for (const std::string& path : paths) {
      ASSERT_TRUE(appender.fits(path));
      appender.append(path, "v", permissions, 1);
    }
    EXPECT_FALSE(appender.fits(paths.back()));  // not twice
    appender.close();
    EXPECT_EQ(store::find_inconsistency(state), std::nullopt) << size << " children";
    for (const std::string& path : paths)
      EXPECT_NE(state.tree.find(path).node, nullptr);
  }
}

TEST(TreeAppenderTest, LeavesDirectoriesThatHaveChildrenAlone) {
  store::State state{{}};
  store::TreeAppender appender{state.tree};
  appender.open("/");  // has /tool
  EXPECT_FALSE(appender.fits("/z"));
  appender.open("/tool/xenstored");
  EXPECT_TRUE(appender.fits("/tool/xenstored/z"));
  EXPECT_FALSE(appender.fits("/tool/z"));
}

}  // namespace
}  // namespace ppvmm::test

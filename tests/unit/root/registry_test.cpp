#include "root/registry.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace ppvmm::root {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "ppvmm-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

Record example() {
  return {.name = "store-1",
          .image_path = "/lab/xenstore_uk",
          .image_hash = 0xFEDCBA9876543210,
          .spec = {.domid = 7,
                   .memory_mib = 32,
                   .cmdline = "a=1 b",
                   .xenstore = true,
                   .bus = true,
                   .pci = {"0000:00:10.0"}},
          .built = {.domid = 7,
                    .console_port = 3,
                    .console_frame = 0x12345,
                    .start_info = 0xABC000,
                    .image_frames = {9, 8, 7},
                    .build_ns = 11,
                    .store_port = 1,
                    .store_frame = 0x777},
          .rebuilds = 2,
          .place = {.role = SetRole::backup, .set = "store", .index = 1, .attached = false},
          .console = true,
          .rebuilding = true,
          .adopted = true,
          .notices_seen = 42};
}

TEST_F(RegistryTest, GivesBackWhatWasSaved) {
  const Registry registry(directory_ + "/deep/er");
  ASSERT_TRUE(registry.save(example()));
  const auto loaded = registry.load("store-1");
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->image_hash, example().image_hash);
  EXPECT_EQ(loaded->spec.domid, 7);
  EXPECT_TRUE(loaded->spec.xenstore);
  EXPECT_EQ(loaded->spec.cmdline, "a=1 b");
  EXPECT_EQ(loaded->built.image_frames, example().built.image_frames);
  EXPECT_EQ(loaded->built.console_frame, example().built.console_frame);
  EXPECT_TRUE(loaded->spec.bus);
  EXPECT_EQ(loaded->spec.pci, example().spec.pci);
  EXPECT_EQ(loaded->built.store_port, 1U);
  EXPECT_EQ(loaded->built.store_frame, 0x777U);
  EXPECT_EQ(loaded->rebuilds, 2U);
  EXPECT_EQ(loaded->place.role, SetRole::backup);
  EXPECT_EQ(loaded->place.set, "store");
  EXPECT_EQ(loaded->place.index, 1U);
  EXPECT_FALSE(loaded->place.attached);
  EXPECT_TRUE(loaded->console);
  EXPECT_TRUE(loaded->rebuilding);
  EXPECT_TRUE(loaded->adopted);
  EXPECT_EQ(loaded->notices_seen, 42U);
}

TEST_F(RegistryTest, ARebuiltPrimaryIsToldOnceThatItIsNotTheFirst) {
  Record record = example();
  EXPECT_EQ(spec_of_rebuild(record).cmdline, "a=1 b");
  record.place.role = SetRole::primary;
  record.spec = spec_of_rebuild(record);
  EXPECT_EQ(record.spec.cmdline, "a=1 b rebuilt");
  EXPECT_EQ(spec_of_rebuild(record).cmdline, "a=1 b rebuilt");
  EXPECT_EQ(spec_of_rebuild(record).domid, 7);
}

TEST_F(RegistryTest, ListsByNameAndForgets) {
  const Registry registry(directory_);
  Record second = example();
  second.name = "a-first";
  ASSERT_TRUE(registry.save(example()));
  ASSERT_TRUE(registry.save(second));
  ASSERT_EQ(registry.all().size(), 2U);
  EXPECT_EQ(registry.all().front().name, "a-first");
  registry.remove("a-first");
  EXPECT_EQ(registry.all().size(), 1U);
  EXPECT_FALSE(registry.load("a-first"));
}

TEST_F(RegistryTest, ADamagedFileIsAnErrorNotACrash) {
  const Registry registry(directory_);
  for (const char* const text : {"", "{", "[]", R"({"name": 3})"}) {
    std::ofstream(directory_ + "/bad.json") << text;
    EXPECT_FALSE(registry.load("bad")) << text;
    EXPECT_TRUE(registry.all().empty());
  }
}

TEST(Name, MayNotLeaveTheDirectory) {
  for (const char* const name : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "\n"}) {
    EXPECT_FALSE(valid_name(name)) << name;
  }
  EXPECT_FALSE(valid_name(std::string(65, 'a')));
  EXPECT_TRUE(valid_name("net_uk-2.b"));
}

}  // namespace
}  // namespace ppvmm::root

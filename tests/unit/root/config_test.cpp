#include "root/daemon/config.hpp"

#include <gtest/gtest.h>

namespace ppvmm::root::daemon {
namespace {

TEST(Config, WithoutAFileThePresetsHold) {
  const Config config = default_config();
  EXPECT_EQ(config.policies.size(), kPresets.size());
  EXPECT_EQ(config.policy_for("anything", false).name, "fg");
  EXPECT_EQ(config.policy_for("Xenstore", true).limits.rebuilds, 0U);
}

TEST(Config, ReadsEverythingItKnows) {
  const auto config = parse_config(R"(
pace_ms = 0.5
scrub_pages_per_s = 100
realtime = false
console_folder = "/tmp/c"
metrics = "127.0.0.1:1234"
policy_of_all = "cg"

[policy.fg]
silence_ms = 3
window_s = 2

[policy.mine]
base = "xoar"
refresh_ms = 250
words = "go"

[unit.Xenstore]
policy = "mine"
after = []
)",
                                   "x.toml");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->pace_ns, 500'000U);
  EXPECT_FALSE(config->realtime);
  EXPECT_EQ(config->policies.at("fg").patience.silence_ns, 3'000'000U);
  EXPECT_EQ(config->policies.at("fg").limits.window_ns, 2'000'000'000U);
  EXPECT_EQ(config->policies.at("mine").refresh_ns, 250'000'000U);
  EXPECT_FALSE(config->policies.at("mine").detect);
  EXPECT_EQ(config->policy_for("Xenstore", false).words, "go");
  EXPECT_EQ(config->policy_for("other", false).name, "cg");
  ASSERT_TRUE(config->units.at("Xenstore").after);
  EXPECT_TRUE(config->units.at("Xenstore").after->empty());
}

TEST(Config, PresetsAreTheComparedSystems) {
  const Config config = default_config();
  EXPECT_TRUE(config.policies.at("fg").words.empty());
  EXPECT_EQ(config.policies.at("cg").words, "coarse");
  EXPECT_GT(config.policies.at("cg").limits.microreboots, 0U);
  EXPECT_EQ(config.policies.at("xoar").words, "lose-unanswered coarse");
  EXPECT_FALSE(config.policies.at("xoar").detect);
  EXPECT_NE(config.policies.at("xoar").refresh_ns, 0U);
  EXPECT_TRUE(config.policies.at("tfd").needs_spare);
  EXPECT_EQ(config.policies.at("tfd").limits.microreboots, 0U);
}

TEST(Config, ASpareHasTheUnitThatItIsForAsItsOwn) {
  const auto config = parse_config(
      "[policy.tfd]\nspare = \"net_spare\"\n[unit.net_uk]\npolicy = \"tfd\"\n", "x.toml");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->policy_for("net_uk", false).spare, "net_spare");
  EXPECT_EQ(config->policy_for("net_spare", false).name, "tfd");
  EXPECT_EQ(config->policy_for("net_spare", false).spare, "net_uk");
  EXPECT_EQ(config->policy_for("other", false).name, "fg");
}

struct Mistake {
  const char* text;
  const char* message;
};

class ConfigMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistakes, AreRefusedWithFileLineAndWhatWasExpected) {
  const auto config = parse_config(GetParam().text, "root.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().text().substr(0, std::string(GetParam().message).size()),
            GetParam().message);
  EXPECT_NE(config.error().text().find("expected"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigMistakes,
    ::testing::Values(
        Mistake{"pace_ms = 5000", "root.toml:1: pace_ms = 5000; expected a number from 0 to 1000"},
        Mistake{"pace_ms = 0", "root.toml:1: pace_ms is too short; expected a number from 0.1"},
        Mistake{"\npace_ms = \"x\"", "root.toml:2: pace_ms is no number"},
        Mistake{"pase_ms = 1", "root.toml:1: unknown key \"pase_ms\" ; expected one of pace_ms"},
        Mistake{"realtime = 1", "root.toml:1: realtime is neither true nor false"},
        Mistake{"metrics = \"0.0.0.0:80\"", "root.toml:1: metrics = \"0.0.0.0:80\""},
        Mistake{"metrics = \"127.0.0.1:99999\"", "root.toml:1: metrics ="},
        Mistake{"policy_of_all = \"nope\"", "root.toml:1: there is no policy \"nope\""},
        Mistake{"[unit.a]\npolicy = \"nope\"", "root.toml:2: there is no policy \"nope\""},
        Mistake{"[unit.a]\npolicy = \"tfd\"", "root.toml:2: policy tfd needs a spare"},
        Mistake{"[policy.t]\nbase = \"tfd\"\n[unit.a]\npolicy = \"t\"",
                "root.toml:4: policy t needs a spare; expected spare = \"<unit>\" in [policy.t]"},
        Mistake{"[policy.tfd]\nspare = \"a\"\n[unit.a]\npolicy = \"tfd\"",
                "root.toml:4: policy tfd makes a its own spare"},
        Mistake{"policy_of_all = \"tfd\"", "root.toml:1: not every unit can have a spare"},
        Mistake{"[unit.a]\nafter = \"b\"", "root.toml:2: after is no list"},
        Mistake{"[unit.a]\nafter = [1]", "root.toml:2: after holds something that is no text"},
        Mistake{"[unit]\na = 1", "root.toml:2: unit.a is no table"},
        Mistake{"unit = 1", "root.toml:1: unit is no table"},
        Mistake{"[policy.fg]\nrebuilds = -1", "root.toml:2: rebuilds = -1"},
        Mistake{"[policy.x]\nbase = \"y\"", "root.toml:2: there is no policy \"y\""},
        Mistake{"[policy.x]\ncolour = 3", "root.toml:2: unknown key \"colour\" in [policy.x]"},
        Mistake{"[policy.x]\ndetect = false", "root.toml:1: a policy that neither detects"},
        Mistake{"a = [", "root.toml:1: "}));

}  // namespace
}  // namespace ppvmm::root::daemon

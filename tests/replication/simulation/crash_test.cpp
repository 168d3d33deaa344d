// A death at every step of every scripted scenario. With PPVMM_STRIDE=n only every n-th step, for
// builds that are slow.
#include <gtest/gtest.h>

#include <cstdlib>

#include "scenario.hpp"

namespace ppvmm::simulation {
namespace {

constexpr std::uint64_t kSeed = 20'200'629;

std::uint64_t stride() {
  const char* text = std::getenv("PPVMM_STRIDE");
  const unsigned long given = text == nullptr ? 1 : std::strtoul(text, nullptr, 10);
  return given == 0 ? 1 : given;
}

struct Totals {
  std::uint64_t worlds{};
  std::uint64_t steps{};
  std::uint64_t rebirths{};
  std::uint64_t refills{};

  void add(const World& world) {
    ++worlds;
    steps += world.steps();
    rebirths += world.rebirths;
    refills += world.refills;
  }
  void print() const {
    std::printf("%llu worlds, %llu steps, %llu rebirths, %llu refills, seed %llu\n",
                static_cast<unsigned long long>(worlds), static_cast<unsigned long long>(steps),
                static_cast<unsigned long long>(rebirths), static_cast<unsigned long long>(refills),
                static_cast<unsigned long long>(kSeed));
  }
};

class EveryStep : public ::testing::TestWithParam<Scenario> {
 protected:
  /// A fresh world, faults planned by `plan`, run to its end.
  template <class Plan>
  testing::AssertionResult run(Plan plan) {
    World world{kSeed, GetParam().setup};
    GetParam().prepare(world);
    plan(world);
    const bool good = world.finish();
    totals_.add(world);
    last_steps_ = world.primary_steps();
    last_rebirths_ = world.rebirths;
    service_began_ = world.service_began;
    if (good) return testing::AssertionSuccess();
    return testing::AssertionFailure() << world.complaints().text();
  }

  Totals totals_;
  std::uint64_t last_steps_{};
  std::uint64_t last_rebirths_{};
  std::uint64_t service_began_{};
};

TEST_P(EveryStep, WithoutAFault) {
  ASSERT_TRUE(run([](World&) {}));
  EXPECT_EQ(last_rebirths_, 0u);
}

TEST_P(EveryStep, ThePrimaryDies) {
  ASSERT_TRUE(run([](World&) {}));
  const std::uint64_t steps = last_steps_;
  const std::uint64_t began = service_began_;
  // Before the first life serves it only clears memory, which is much the same at every step.
  for (std::uint64_t step = 0; step < began; step += 23 * stride()) {
    ASSERT_TRUE(run([&](World& world) { world.primary_deaths().push_back(step); }))
        << "primary dies before step " << step;
  }
  for (std::uint64_t step = began; step < steps; step += stride()) {
    ASSERT_TRUE(run([&](World& world) { world.primary_deaths().push_back(step); }))
        << "primary dies before step " << step;
    EXPECT_EQ(last_rebirths_, 1u) << "primary dies before step " << step;
  }
  totals_.print();
}

TEST_P(EveryStep, ThePrimaryDiesAgainWhileItIsReborn) {
  ASSERT_TRUE(run([](World&) {}));
  const std::uint64_t steps = last_steps_;
  // Coprime to the lengths of records and intents, so that all their words are met.
  for (std::uint64_t step = service_began_; step < steps; step += 41 * stride()) {
    for (std::uint64_t again = 1; again <= 24; ++again) {
      ASSERT_TRUE(run([&](World& world) {
        world.primary_deaths() = {step, step + again};
      })) << "primary dies before steps "
          << step << " and " << step + again;
    }
  }
  totals_.print();
}

TEST_P(EveryStep, ABackupDies) {
  if (!GetParam().setup.second_backup) GTEST_SKIP() << "nobody is left to refill from";
  World world{kSeed, GetParam().setup};
  GetParam().prepare(world);
  ASSERT_TRUE(world.finish()) << world.complaints().text();
  for (std::size_t backup = 0; backup < kBackups; ++backup) {
    for (std::uint64_t step = 0; step < world.backup_steps(backup); step += 3 * stride()) {
      for (const Loss loss : {Loss::state, Loss::memory}) {
        ASSERT_TRUE(run([&](World& other) {
          other.loss = loss;
          other.backup_deaths(backup).push_back(step);
        })) << "backup "
            << backup << " dies before step " << step
            << (loss == Loss::memory ? " and loses its memory" : "");
      }
    }
  }
  totals_.print();
}

TEST_P(EveryStep, ABackupIsLostAndThenThePrimaryDies) {
  if (!GetParam().setup.second_backup) GTEST_SKIP() << "nobody is left to refill from";
  ASSERT_TRUE(run([](World&) {}));
  const std::uint64_t steps = last_steps_;
  World world{kSeed, GetParam().setup};
  GetParam().prepare(world);
  ASSERT_TRUE(world.finish());
  const std::uint64_t middle = world.backup_steps(0) / 2;
  // From its loss on, through its refill, the primary may die at any step.
  for (std::uint64_t step = steps / 4; step < steps; step += 5 * stride()) {
    ASSERT_TRUE(run([&](World& other) {
      other.loss = Loss::memory;
      other.backup_deaths(0).push_back(middle);
      other.primary_deaths().push_back(step);
    })) << "backup 0 is lost at its step "
        << middle << ", the primary dies before step " << step;
  }
  totals_.print();
}

INSTANTIATE_TEST_SUITE_P(Scenarios, EveryStep, ::testing::ValuesIn(scenarios()),
                         [](const auto& scenario) {
                           std::string name = scenario.param.name;
                           for (char& c : name) {
                             if (c == ' ') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace ppvmm::simulation

/// The simulator's command: as many worlds as asked for, each from its own seed.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>

#include "simulation/failure.hpp"
#include "simulation/world.hpp"

namespace {

using namespace ppvmm::simulation;

struct Settings {
  std::uint64_t seed{1};
  std::uint64_t worlds{1};
  std::uint64_t steps{50'000};
  double seconds{};
};

struct Totals {
  std::uint64_t steps{};
  std::uint64_t answers{};
  std::uint64_t worlds{};
};

constexpr std::uint64_t kSettleEvery = 700;
constexpr std::uint64_t kForkEvery = 4099;
constexpr std::uint64_t kForkSteps = 60;
constexpr std::uint64_t kReloadEvery = 1999;

/// A world and its copy live through the same steps and must end up the same.
void compare_futures(World& world) {
  World copy = world.fork();
  for (std::uint64_t i = 0; i < kForkSteps; ++i) {
    world.step();
    copy.step();
    require(world.digest() == copy.digest(),
            "a loaded machine behaves differently after " + std::to_string(i + 1) + " steps");
  }
  const auto parted = difference(world.machine().dump(), copy.machine().dump());
  require(!parted,
          "a loaded machine is in another state after the same events: " + parted.value_or(""));
}

/// True when the world lived as long as it should.
bool live(std::uint64_t seed, std::uint64_t steps, Totals& totals) {
  std::uint64_t step = 0;
  try {
    World world{seed, Plan{}};
    for (; step < steps; ++step) {
      world.step();
      if (step % kSettleEvery == kSettleEvery - 1) world.settle();
      if (step % kReloadEvery == kReloadEvery - 1) world.reload();
      if (step % kForkEvery == kForkEvery - 1) compare_futures(world);
    }
    world.settle();
    totals.answers += world.answers();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "FAILED in step %llu: %s\nreplay: --seed %llu --steps %llu\n",
                 static_cast<unsigned long long>(step), failure.what(),
                 static_cast<unsigned long long>(seed), static_cast<unsigned long long>(step + 1));
    return false;
  }
  totals.steps += steps;
  ++totals.worlds;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Simulates hosts around the store machine and checks every answer against a model.",
               "store_simulation"};
  app.add_option("--seed", settings.seed, "Seed of the first world; the next has the next seed")
      ->capture_default_str();
  app.add_option("--worlds", settings.worlds, "How many worlds")->capture_default_str();
  app.add_option("--steps", settings.steps, "Steps of each world")->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Start no new world after this time; 0: no limit");
  CLI11_PARSE(app, argc, argv);

  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Totals totals;
  for (std::uint64_t i = 0; i < settings.worlds; ++i) {
    if (settings.seconds > 0 && elapsed() > settings.seconds) break;
    if (!live(settings.seed + i, settings.steps, totals)) return 1;
  }
  std::printf("%llu worlds, %llu steps, %llu answers checked, %.1f s\n",
              static_cast<unsigned long long>(totals.worlds),
              static_cast<unsigned long long>(totals.steps),
              static_cast<unsigned long long>(totals.answers), elapsed());
  return 0;
}

/// Scripted loads, small enough to be repeated once for every step they take.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "world.hpp"

namespace ppvmm::simulation {

struct Scenario {
  std::string name;
  Setup setup;
  /// Puts guests and their scripts into a fresh world.
  std::function<void(World&)> prepare;
};

inline std::ostream& operator<<(std::ostream& out, const Scenario& scenario) {
  return out << scenario.name;
}

/// What domain 0 does first: shared nodes, a home for each guest, and their introduction.
std::vector<Action> boot_script(const std::vector<DomId>& guests);

/// All scripted scenarios.
const std::vector<Scenario>& scenarios();

/// A random script of `length` actions for a guest.
std::vector<Action> random_script(Random& random, std::size_t length, bool privileged);

}  // namespace ppvmm::simulation

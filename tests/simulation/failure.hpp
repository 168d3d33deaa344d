/// How a simulation says that the server is wrong.
#pragma once

#include <stdexcept>
#include <string>

namespace ppvmm::simulation {

/// An invariant does not hold. main() adds seed and step.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const std::string& what) {
  if (!holds) throw Failure{what};
}

}  // namespace ppvmm::simulation

/// For what dies in a test as it dies in a unikernel: its memory stays behind, and nothing of it
/// ever runs again, no destructor either.
#pragma once

#include <memory>
#include <vector>

namespace ppvmm::test {

/// Lets go of `dead` for good. It stays known, so that a leak checker does not take it for
/// forgotten.
template <class T>
void bury(std::unique_ptr<T>& dead) {
  // Never freed: the checker looks when statics are gone.
  static auto* const grave = new std::vector<const void*>;
  grave->push_back(dead.release());
}

}  // namespace ppvmm::test

#include <array>

#include "xenbus/device.hpp"

namespace ppvmm::xenbus {
namespace {

constexpr std::array<std::string_view, 9> kNames{"Unknown",     "Initialising",  "InitWait",
                                                 "Initialised", "Connected",     "Closing",
                                                 "Closed",      "Reconfiguring", "Reconfigured"};
static_assert(kNames.size() == static_cast<std::size_t>(State::reconfigured) + 1);

}  // namespace

std::string_view text_of(State state) {
  return kNames[static_cast<std::size_t>(state)];
}

State state_of(std::string_view value) {
  // All are one digit.
  if (value.size() != 1 || value[0] < '0' || value[0] > '8') return State::unknown;
  return static_cast<State>(value[0] - '0');
}

}  // namespace ppvmm::xenbus

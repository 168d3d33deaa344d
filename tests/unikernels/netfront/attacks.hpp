/// What a hostile front-end can do.
#pragma once

#include <span>
#include <string_view>

#include "front_end.hpp"
#include "kernel/time.hpp"

namespace ppvmm::test {

struct Attack {
  std::string_view name;
  bool ends;        ///< The back-end must end the connection; else it must not.
  unsigned rounds;  ///< So many times at most.
  kernel::Nanoseconds pause;
  void (*act)(FrontEnd& front, unsigned round);
};

[[nodiscard]] std::span<const Attack> attacks();

}  // namespace ppvmm::test

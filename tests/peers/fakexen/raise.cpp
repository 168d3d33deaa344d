#include <unistd.h>

#include "peers/fakexen/layout.hpp"

namespace ppvmm::peers {

void raise(Port& port, std::uint32_t number, int up) {
  if (port.pending.exchange(1) != 0 || port.masked.load() != 0) return;
  // Four bytes go into a pipe whole or not at all; the port table is far smaller than a pipe.
  [[maybe_unused]] const auto written = write(up, &number, sizeof number);
}

}  // namespace ppvmm::peers

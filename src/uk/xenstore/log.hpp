/// The machine's log lines, on the console.
#pragma once

#include "kernel/console.hpp"
#include "store/machine.hpp"

namespace ppvmm::xenstore {

[[nodiscard]] constexpr kernel::Level level_of(store::LogRecord::Level level) {
  switch (level) {
    // The machine writes these only while somebody asked for them (`xenstore-control log on`).
    case store::LogRecord::Level::debug:
    case store::LogRecord::Level::info:
      return kernel::Level::info;
    case store::LogRecord::Level::warning:
      return kernel::Level::warning;
    case store::LogRecord::Level::error:
      return kernel::Level::error;
  }
  return kernel::Level::error;
}

inline void write_log(store::Machine& machine) {
  for (const store::LogRecord& record : machine.take_log()) {
    kernel::console::write(level_of(record.level), record.text);
  }
}

}  // namespace ppvmm::xenstore

/// The agent's loop: takes orders from the driver, collects what scripts and consoles report.
#pragma once

namespace ppvmm::lab {

/// Serves until the driver says "poweroff" or the port is gone. Returns the exit code of the
/// program.
int serve();

}  // namespace ppvmm::lab

/// What dom0 may ask of a running net_uk, by writing to its data/order in XenStore:
///   statistics   logs what was counted
#pragma once

#include "kernel/task.hpp"
#include "uk/net/plumbing.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::netuk {

/// Follows the orders for ever. To be run as a task.
[[nodiscard]] kernel::task::Task<> obey(Plumbing& plumbing, xenbus::Store& store);

/// One line for the data path, and one for each vif.
void log_statistics(Plumbing& plumbing);

}  // namespace ppvmm::netuk

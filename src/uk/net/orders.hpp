/// What dom0 may ask of a running net_uk, by writing to its data/order in XenStore:
///   statistics     logs what was counted
///   damage driver  overwrites the driver's memory (a drill)
///   stick device   stops the card's transmitter behind the driver's back (a drill)
#pragma once

#include "kernel/task.hpp"
#include "uk/net/plumbing.hpp"
#include "uk/net/wire.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::netuk {

/// Follows the orders for ever. To be run as a task.
[[nodiscard]] kernel::task::Task<> obey(Plumbing& plumbing, Wire& wire, xenbus::Store& store);

/// One line for the data path, and one for each vif.
void log_statistics(Plumbing& plumbing);

}  // namespace ppvmm::netuk

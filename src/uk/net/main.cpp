// net_uk: the network back-end as a unikernel.
//
// Command line (`extra=` of xl's configuration):
//   buffers=N      pages for packets; default, and most, three eighths of memory
//   antispoof      vifs send only from their own address (and those of xl's `ip=`)
//   loglevel=N     0 debug, 1 info (default), 2 warnings, 3 errors
#include <algorithm>
#include <optional>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"
#include "uk/net/backend.hpp"
#include "uk/net/orders.hpp"
#include "uk/net/plumbing.hpp"
#include "uk/net/root_link.hpp"
#include "uk/net/wire.hpp"
#include "xenbus/store.hpp"

namespace {

using namespace ppvmm;

std::size_t buffers_of(const kernel::Start& start) {
  const std::uint64_t most = start.memory_pages * 3 / 8;
  return std::min(kernel::find_number(start.command_line, "buffers").value_or(most), most);
}

kernel::task::Task<> serve_vifs(netuk::Wire& wire, netuk::Backend& backend) {
  co_await wire.expect();
  co_await backend.follow();
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  static netuk::Plumbing plumbing(buffers_of(start));
  static xenbus::Store store(start);
  static netuk::Backend backend(
      plumbing, store,
      {.antispoof = kernel::find_option(start.command_line, "antispoof").has_value()});

  static netuk::Wire wire(plumbing, store);

  const std::size_t adopted = backend.adopt();
  static std::optional<kernel::task::TaskRoot> pump;
  const auto begin_pumping = [](void*) {
    if (!pump) {
      pump.emplace(kernel::task::scheduler(), plumbing.pump(),
                   static_cast<std::uint32_t>(kernel::vitals::component("netback")));
      kernel::vitals::ready();
    }
  };
  // Without a card from an earlier life, guests are served before anything else is looked at.
  if (!netuk::Wire::had_card()) begin_pumping(nullptr);
  const kernel::task::TaskRoot card(
      kernel::task::scheduler(), wire.open(begin_pumping, nullptr),
      static_cast<std::uint32_t>(kernel::vitals::component("driver")));
  const kernel::task::TaskRoot follow(
      kernel::task::scheduler(), serve_vifs(wire, backend),
      static_cast<std::uint32_t>(kernel::vitals::component("xenbus")));
  const kernel::task::TaskRoot orders(
      kernel::task::scheduler(), netuk::obey(plumbing, wire, store),
      static_cast<std::uint32_t>(kernel::vitals::component("xenbus")));
  static netuk::RootCommands commands(plumbing, wire, backend);
  kernel::log(kernel::Level::info, "net_uk: life ", start.incarnation, ", ",
              start.memory_pages / 256, " MiB, ", plumbing.pool().statistics().buffers,
              " buffers, ", adopted, " vif(s) taken over");
  kernel::events::run();
}

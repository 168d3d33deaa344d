// xenstore_uk: the host's XenStore as a unikernel.
//
// Command line (written by the launcher, src/root/xenstore_domain.cpp):
//   dom0_port=N    port that dom0's kernel keeps for this domain; required
//   dom0_grant=N   grant of dom0's ring page; default 1, GNTTAB_RESERVED_XENSTORE
//   loglevel=N     0 debug, 1 info (default), 2 warnings, 3 errors
#include <cstdint>
#include <utility>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/vitals.hpp"
#include "uk/xenstore/server.hpp"

namespace {

using namespace ppvmm;

/// The machine keeps below this by itself and answers ENOSPC. The rest of the heap is for what it
/// does not count: rings' bookkeeping, allocator slack, buffers of the moment.
std::uint64_t machine_share(std::uint64_t heap) {
  return heap - heap / 5;
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  if (start.reborn) {
    // The tree was in the heap of the last life. Serving an empty one to connected guests would be
    // a lie; a replica has to hand the state over first.
    kernel::panic("reborn without the store's contents");
  }
  const auto port = kernel::find_number(start.command_line, "dom0_port");
  if (!port) kernel::panic("no dom0_port= on the command line");
  const auto grant =
      kernel::find_number(start.command_line, "dom0_grant").value_or(GNTTAB_RESERVED_XENSTORE);
  const auto facts = xenstore::DomainFacts::probe();
  if (!facts) kernel::panic("Xen tells this domain nothing about others: not the XenStore domain?");

  const std::uint64_t share = machine_share(kernel::memory::available());
  store::Options options;
  options.memory_limit = share;
  options.version = "ppvmm xenstore_uk";
  static xenstore::Server server(std::move(options), *facts);
  if (!server.watch_domains()) kernel::panic("VIRQ_DOM_EXC cannot be bound");
  if (!server.attach_dom0(static_cast<abi::GrantRef>(grant), static_cast<abi::Port>(*port))) {
    kernel::panic("dom0's connection cannot be attached");
  }
  kernel::log(kernel::Level::info, "xenstore_uk: ", start.memory_pages / 256, " MiB, ",
              share / 1024, " KiB for the store, domctl version ",
              kernel::Hex{facts->interface_version()});

  const kernel::task::TaskRoot service(kernel::task::scheduler(), server.serve());
  kernel::vitals::ready();
  kernel::events::run();
}

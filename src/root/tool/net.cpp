// net start, move, order.
#include "root/tool/net.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "abi/net_uk.hpp"
#include "root/daemon/control.hpp"
#include "root/driver_domain.hpp"
#include "root/microreboot.hpp"
#include "root/rebuild.hpp"
#include "root/tool/output.hpp"
#include "root/vitals_view.hpp"
#include "root/watch.hpp"

namespace ppvmm::root::tool {
namespace {

using abi::net_uk::Command;
using abi::net_uk::Part;

struct Started {
  BuiltDomain built;
  BusReport bus;
  std::uint64_t ready_ns{};
};

Result<Started> join_and_run(const Xen& xen, const Image& image, const DomainSpec& spec,
                             const std::string& name, BuiltDomain built, const Common& common) {
  Started started{.built = std::move(built), .bus = {}};
  auto store = XsClient::open();
  if (!store) return std::unexpected(store.error());
  const auto joined = join_bus(xen, *store, place_of(name, spec, started.built), common.limit());
  if (!joined) return std::unexpected(joined.error());
  const auto furnished = furnish_home(*store, place_of(name, spec, started.built));
  if (!furnished) return std::unexpected(furnished.error());
  started.bus = *joined;
  const auto ready = run_until_ready(xen, image, started.built, common);
  if (!ready) return std::unexpected(ready.error());
  started.ready_ns = *ready;
  return started;
}

}  // namespace

Result<void> net_end(const Common& common, const Record& record) {
  const DomId domid = record.built.domid;
  const auto xen = Xen::open();
  if (!xen) return std::unexpected(xen.error());
  if (xen->domain(domid)) {
    if (auto gone = xen->destroy(domid); !gone) return gone;
  }
  auto store = XsClient::open();
  if (!store) return std::unexpected(store.error());
  if (auto left = forget_bus(*store, domid, record.spec.pci, common.limit()); !left) return left;
  return destroy_and_wait(*xen, domid, common.limit());
}

int net_start(const Common& common, const NetOptions& options) {
  if (!valid_name(options.name)) return complain({"\"" + options.name + "\" is no usable name"});
  if (const auto known = common.registry().load(options.name)) {
    return complain({fmt::format("\"{}\" is domain {} already; stop it first", options.name,
                                 known->built.domid)});
  }
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const DomainSpec spec{.domid = options.domid,
                        .memory_mib = options.memory_mib,
                        .cmdline = options.cmdline,
                        .xenstore = false,
                        .bus = true,
                        .pci = options.pci};
  auto built = create_and_build(*xen, *image, spec);
  if (!built) return complain(built.error());
  Record record{.name = options.name,
                .image_path = options.image,
                .image_hash = image->hash(),
                .spec = spec,
                .built = *built};
  record.console = true;
  const auto started = join_and_run(*xen, *image, spec, options.name, std::move(*built), common);
  if (!started) {
    const auto ended = net_end(common, record);
    return complain({started.error().text() + (ended ? "" : "; then " + ended.error().text())});
  }
  if (const auto saved = common.registry().save(record); !saved) return complain(saved.error());
  fmt::print("{}: domain {}, {} device(s), built in {} ms, ready {} ms after unpause\n",
             options.name, record.built.domid, started->bus.devices,
             ms_text(to_ms(record.built.build_ns)), ms_text(to_ms(started->ready_ns)));
  return write_json(common, {{"name", options.name},
                             {"domid", record.built.domid},
                             {"devices", started->bus.devices},
                             {"vifs", started->bus.vifs},
                             {"build_ms", to_ms(record.built.build_ns)},
                             {"ready_ms", to_ms(started->ready_ns)}});
}

int net_move(const Common& common, const NetOptions& options) {
  auto store = XsClient::open();
  if (!store) return complain(store.error());
  const auto moved = move_between(*store, common.registry(), options.name, options.other);
  if (!moved) return complain(moved.error());
  fmt::print("{} vif(s) moved from {} to {}\n", *moved, options.name, options.other);
  return write_json(common, {{"from", options.name}, {"to", options.other}, {"vifs", *moved}});
}

namespace {

struct Order {
  const char* name;
  Command command;
  std::uint64_t subject;
};
constexpr std::array<Order, 4> kOrders{
    {{"take-over", Command::take_over, 0},
     {"repair-driver", Command::repair_part, static_cast<std::uint64_t>(Part::driver)},
     {"repair-netback", Command::repair_part, static_cast<std::uint64_t>(Part::netback)},
     {"statistics", Command::statistics, 0}}};

/// Gives the command, and its serial number. Where the daemon runs it holds the port that announces
/// it, and nobody else can have that.
Result<std::uint32_t> give(const Common& common, const Record& record, const Xen& xen,
                           const Image& image, const Order& order) {
  if (!daemon::daemon_runs(common.state_dir)) {
    auto watch = Watch::open(xen, image, record.built, false);
    if (!watch) return std::unexpected(watch.error());
    const std::uint32_t serial =
        watch->vitals().order_command(static_cast<std::uint32_t>(order.command), order.subject);
    if (!watch->link()) return refused("\"" + record.name + "\" offers no port to be told by");
    if (const auto told = watch->events().notify(*watch->link()); !told) {
      return std::unexpected(told.error());
    }
    return serial;
  }
  const auto said = daemon::ask(common.state_dir, {{"op", "order"},
                                                   {"unit", record.name},
                                                   {"command", order.command},
                                                   {"subject", order.subject}});
  if (!said) return std::unexpected(said.error());
  return said->value("serial", std::uint32_t{0});
}

}  // namespace

int net_order(const Common& common, const NetOptions& options) {
  const auto record = common.registry().load(options.name);
  if (!record) return complain(record.error());
  const auto* const order = std::ranges::find(kOrders, options.order, &Order::name);
  if (order == kOrders.end()) return complain({"unknown order " + options.order});
  const auto image = Image::load(record->image_path);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto vitals = VitalsView::map(*xen, *image, record->built);
  if (!vitals) return complain(vitals.error());
  const auto serial = give(common, *record, *xen, *image, *order);
  if (!serial) return complain(serial.error());
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(common.limit()).count());
  while (vitals->page().command_done != *serial) {
    if (now_ns() >= end) return complain({record->name + " does not carry the order out"});
    poll(nullptr, 0, 1);  // the daemon hears of it, not we
  }
  const std::uint32_t result = vitals->page().command_result;
  if (result != 0) {
    return complain({fmt::format("{} cannot do that (result {})", record->name, result)});
  }
  return write_json(common, {{"name", record->name}, {"order", options.order}});
}

}  // namespace ppvmm::root::tool

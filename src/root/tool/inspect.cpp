// vitals, status, symbols, console.
#include <fmt/format.h>
#include <poll.h>

#include <charconv>
#include <cstdio>

#include "root/console.hpp"
#include "root/daemon/control.hpp"
#include "root/events.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"
#include "root/vitals_view.hpp"

namespace ppvmm::root::tool {
namespace {

using nlohmann::ordered_json;

template <std::size_t N>
std::string text_of(const std::array<char, N>& field) {
  return field_text({field.data(), field.size()});
}

ordered_json fault_json(const abi::Fault& fault, const SymbolTable& symbols) {
  ordered_json trace = ordered_json::array();
  for (std::size_t i = 0; i < std::min<std::size_t>(fault.depth, abi::kBacktraceDepth); ++i) {
    trace.push_back(symbols.describe(fault.backtrace[i]));
  }
  return {{"kind", name_of(fault.kind)},
          {"incarnation", fault.incarnation},
          {"vector", fault.vector},
          {"error_code", fault.error_code},
          {"rip", fmt::format("{:#x}", fault.rip)},
          {"where", symbols.describe(fault.rip)},
          {"cr2", fmt::format("{:#x}", fault.cr2)},
          {"message", text_of(fault.message)},
          {"backtrace", trace}};
}

/// Where the time of its last start went: microseconds from each lap to the one before.
ordered_json laps_json(const abi::Vitals& page) {
  ordered_json laps = ordered_json::array();
  std::uint64_t before = page.entry_ns;
  for (const abi::Lap& lap : page.laps) {
    if (lap.name.front() == '\0') break;
    const std::int64_t took = static_cast<std::int64_t>(lap.time_ns - before);
    laps.push_back({{"name", text_of(lap.name)}, {"us", static_cast<double>(took) / 1000}});
    before = lap.time_ns;
  }
  return laps;
}

ordered_json vitals_json(const abi::VitalsRegion& region, const SymbolTable& symbols) {
  const abi::Vitals& page = region.page;
  ordered_json progress = ordered_json::array();
  for (const abi::Progress& part : page.progress) {
    if (part.name.front() == '\0') continue;
    progress.push_back(
        {{"name", text_of(part.name)}, {"count", part.count}, {"waiting", part.waiting}});
  }
  ordered_json result = {
      {"plausible", plausible(page)},
      {"state", name_of(page.state)},
      {"incarnation", page.incarnation},
      {"ready_after_ms",
       page.ready_ns > page.entry_ns ? to_ms(page.ready_ns - page.entry_ns) : 0.0},
      {"reboots", page.orders.reboots},
      {"events", page.counts.events},
      {"sleeps", page.counts.sleeps},
      {"timers", page.counts.timers},
      {"log_lines", page.counts.log_lines},
      {"log_dropped", page.counts.log_dropped},
      {"heap_bytes", page.counts.heap_bytes},
      {"heap_peak", page.counts.heap_peak},
      {"heap_refused", page.counts.heap_refused},
      {"self_check", fmt::format("{:#x}", page.self_check)},
      {"survivors", page.survivors_used},
      {"survivors_fault", survivors_fault(region)},
      {"laps", laps_json(page)},
      {"progress", progress}};
  if (page.fault.kind != abi::FaultKind::none) result["fault"] = fault_json(page.fault, symbols);
  return result;
}

void print_flat(const ordered_json& data, const std::string& indent) {
  for (const auto& [key, value] : data.items()) {
    if (value.is_structured()) {
      fmt::print("{}{}:\n", indent, key);
      print_flat(value, indent + "  ");
    } else {
      fmt::print("{}{}: {}\n", indent, key,
                 value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

}  // namespace

int vitals(const Common& common, const std::string& name) {
  const auto record_of = common.registry().load(name);
  if (!record_of) return complain(record_of.error());
  const auto image = Image::load(record_of->image_path);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto view = VitalsView::map(*xen, *image, record_of->built);
  if (!view) return complain(view.error());
  const auto region = view->region();
  const ordered_json result = vitals_json(*region, image->symbols());
  if (common.json != "-") print_flat(result, "");
  const int written = write_json(common, result);
  return plausible(region->page) ? written : kWrong;
}

namespace {

/// What the daemon says of `name`; nothing when there is no daemon, or it does not know it.
const ordered_json* of_daemon(const Result<ordered_json>& said, const std::string& name) {
  if (!said) return nullptr;
  for (const ordered_json& unit : said->at("units")) {
    if (unit.value("name", "") == name) return &unit;
  }
  return nullptr;
}

std::string role_of(const Record& record, const ordered_json* unit) {
  switch (record.place.role) {
    case SetRole::none:
      return record.spec.xenstore ? "alone" : "-";
    case SetRole::primary:
      return "primary";
    case SetRole::backup:
      return unit != nullptr && unit->value("member", false) ? "backup" : "backup (not a member)";
  }
  return "-";
}

/// What the parts of a unit repaired by themselves: "driver 3, netback 1"; empty: nothing.
std::string parts_of(const ordered_json* unit) {
  std::string text;
  if (unit == nullptr || !unit->contains("part_repairs")) return text;
  for (const auto& [part, count] : unit->at("part_repairs").items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", part, count.get<std::uint64_t>());
  return text;
}

}  // namespace

int status(const Common& common) {
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto said = daemon::ask(common.state_dir, {{"op", "status"}});
  std::vector<std::vector<std::string>> rows;
  ordered_json list = ordered_json::array();
  for (const Record& record : common.registry().all()) {
    const auto facts = xen->domain(record.built.domid);
    std::string state = "gone";
    std::uint32_t incarnation = 0;
    if (facts) {
      const auto image = Image::load(record.image_path);
      const auto view = image ? VitalsView::map(*xen, *image, record.built)
                              : Result<VitalsView>(std::unexpected(image.error()));
      state = view ? std::string(name_of(view->state())) : "unreadable";
      incarnation = view ? view->incarnation() : 0;
      if (facts->shut_down) state += " (shut down)";
      if (facts->dying) state += " (dying)";
    }
    const double cpu_ms = facts ? to_ms(facts->cpu_ns) : 0;
    const ordered_json* const unit = of_daemon(said, record.name);
    rows.push_back({record.name, std::to_string(record.built.domid), state,
                    std::to_string(incarnation), std::to_string(record.rebuilds), ms_text(cpu_ms),
                    role_of(record, unit), unit != nullptr ? unit->value("phase", "-") : "-",
                    unit != nullptr ? unit->value("health", "-") : "-",
                    unit != nullptr ? unit->value("policy", "-") : "-"});
    ordered_json one = {
        {"name", record.name},          {"domid", record.built.domid}, {"state", state},
        {"incarnation", incarnation},   {"rebuilds", record.rebuilds}, {"cpu_ms", cpu_ms},
        {"role", role_of(record, unit)}};
    one["supervised"] = unit != nullptr ? *unit : ordered_json(nullptr);
    list.push_back(std::move(one));
  }
  if (common.json != "-") {
    print_table({"name", "domid", "state", "incarnation", "rebuilds", "cpu ms", "role", "phase",
                 "health", "policy"},
                rows);
    for (const ordered_json& each : list) {
      const ordered_json& unit = each.at("supervised");
      const std::string parts = parts_of(unit.is_null() ? nullptr : &unit);
      if (!parts.empty()) {
        fmt::print("{}: repaired from inside: {}\n", each.value("name", ""), parts);
      }
    }
    if (!said) fmt::print("ppvmm-root does not run: nothing is watched or repaired\n");
  }
  ordered_json about = nullptr;
  if (said) {
    about = *said;
    about.erase("ok");
    about.erase("units");
  }
  return write_json(common, {{"daemon", about}, {"units", list}});
}

int symbols(const Common& common, const std::string& image_path,
            const std::vector<std::string>& addresses) {
  const auto image = Image::load(image_path);
  if (!image) return complain(image.error());
  ordered_json result = ordered_json::array();
  for (const std::string& text : addresses) {
    std::uint64_t address = 0;
    const std::string_view digits =
        text.starts_with("0x") ? std::string_view(text).substr(2) : std::string_view(text);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), address, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) {
      return complain({"\"" + text + "\" is no hexadecimal address"});
    }
    const std::string where = image->symbols().describe(address);
    if (common.json != "-") fmt::print("{}\n", where);
    result.push_back({{"address", text}, {"where", where}});
  }
  return write_json(common, result);
}

int console(const Common& common, const std::string& name, bool follow, bool peek) {
  const auto record_of = common.registry().load(name);
  if (!record_of) return complain(record_of.error());
  if (record_of->console && !peek && daemon::daemon_runs(common.state_dir)) {
    return complain({"the daemon reads this console into its log; --peek shows what is in it now"});
  }
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  auto reader = ConsoleReader::map(*xen, record_of->built);
  if (!reader) return complain(reader.error());
  if (peek) {
    fmt::print("{}", reader->peek());
    return kDone;
  }
  auto events = Events::open();
  if (!events) return complain(events.error());
  const auto port = events->bind(record_of->built.domid, record_of->built.console_port);
  if (!port) return complain(port.error());
  // A domain being destroyed stays until its last page is unmapped, and this reader maps one.
  const auto alive = [&] {
    const auto facts = xen->domain(record_of->built.domid);
    return facts && !facts->dying;
  };
  do {
    const std::string text = reader->take();
    if (!text.empty()) {
      fmt::print("{}", text);
      std::fflush(stdout);
      if (const auto told = events->notify(*port); !told) return complain(told.error());
    }
    if (!follow) break;
    if (const auto heard = events->wait(std::chrono::milliseconds(1000)); !heard) {
      return complain(heard.error());
    }
  } while (alive());
  return kDone;
}

}  // namespace ppvmm::root::tool

// inject: faults from outside, for drills and campaigns.
#include "root/inject.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <fstream>
#include <thread>

#include "root/daemon/control.hpp"
#include "root/progress_meter.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/injecting.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {
namespace {

using namespace ppvmm::root::inject;
using nlohmann::ordered_json;

Result<std::uint64_t> number(const std::string& text) {
  const bool hex = text.starts_with("0x");
  const char* const begin = text.data() + (hex ? 2 : 0);
  const char* const end = text.data() + text.size();
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (begin == end || parsed.ec != std::errc{} || parsed.ptr != end) {
    return refused("\"" + text + "\" is no number");
  }
  return value;
}

/// A process id, or a file that holds one.
Result<int> process(const std::string& text) {
  std::string digits = text;
  if (text.find('/') != std::string::npos) {
    std::ifstream file(text);
    if (!(file >> digits)) return failed("read a process id from " + text);
  }
  const auto value = number(digits);
  if (!value) return std::unexpected(value.error());
  // 0 and 1 are this process group and init: never a supervisor.
  constexpr std::uint64_t kLargest = 1U << 22U;
  if (*value < 2 || *value > kLargest) return refused(digits + " is no process to kill");
  return static_cast<int>(*value);
}

Result<Request> request_of(const InjectOptions& options, const std::string& name) {
  Request request;
  const auto fault = fault_named(name);
  if (!fault) return refused("there is no fault called \"" + name + "\"");
  request.fault = *fault;
  if (!options.where.empty()) {
    request.where = where_named(options.where);
    if (!request.where) return refused("there is no ground called \"" + options.where + "\"");
  }
  const auto moment = moment_named(options.when);
  if (!moment) return refused("there is no moment called \"" + options.when + "\"");
  request.moment = *moment;
  request.rehearse = options.rehearse;
  if (request.rehearse && target_of(request.fault) == Target::other) {
    return refused("only a change of memory or of a register can be rehearsed, not " + name);
  }
  for (const auto& [text, field] :
       {std::pair{&options.address, &request.address}, {&options.value, &request.value}}) {
    if (text->empty()) continue;
    const auto value = number(*text);
    if (!value) return std::unexpected(value.error());
    *field = *value;
  }
  request.bit = options.bit;
  if (!options.reg.empty()) {
    const auto found = std::ranges::find(kRegisterNames, options.reg);
    if (found == kRegisterNames.end()) return refused("no register \"" + options.reg + "\"");
    request.reg = static_cast<std::size_t>(found - kRegisterNames.begin());
  }
  const auto bytes = from_hex(options.bytes);
  if (!bytes) return refused("\"" + options.bytes + "\" is no string of hexadecimal bytes");
  request.bytes = *bytes;
  return request;
}

ordered_json to_json(const Injection& done) {
  ordered_json result = {{"fault", name_of(done.fault)},
                         {"domid", done.domid},
                         {"xen_ns", done.xen_ns},
                         {"dom0_ns", done.dom0_ns}};
  if (done.where) result["where"] = name_of(*done.where);
  result["address"] = fmt::format("{:#x}", done.address);
  result["symbol"] = done.symbol;
  if (!done.before.empty()) {
    result["before"] = to_hex(done.before);
    result["after"] = to_hex(done.after);
  }
  if (done.copies != 0) result["copies"] = done.copies;
  if (done.reg) {
    result["register"] = kRegisterNames.at(*done.reg);
    result["before"] = fmt::format("{:#x}", done.reg_before);
    result["after"] = fmt::format("{:#x}", done.reg_after);
  }
  if (done.port) result["port"] = *done.port;
  result["replay"] = done.replay;
  return result;
}

std::string line(const std::string& name, const Injection& done) {
  std::string text = fmt::format("{} (domain {}): {}", name, done.domid, name_of(done.fault));
  if (done.where) text += fmt::format(" in {}", name_of(*done.where));
  if (done.address != 0) text += fmt::format(" at {:#x}", done.address);
  if (!done.symbol.empty()) text += fmt::format(" <{}>", done.symbol);
  if (!done.before.empty()) {
    text += fmt::format(", {} -> {}", to_hex(done.before), to_hex(done.after));
  }
  if (done.copies != 0) text += fmt::format(", and {} alike", done.copies);
  if (done.reg) {
    text += fmt::format(", {} {:#x} -> {:#x}", kRegisterNames.at(*done.reg), done.reg_before,
                        done.reg_after);
  }
  if (done.port) text += fmt::format(", port {}", *done.port);
  return text;
}

}  // namespace

void add_inject_options(CLI::App& command, InjectOptions& options) {
  command.add_option("name", options.name, "Unikernel to hit")->required();
  command
      .add_option("fault", options.faults,
                  "wild-rip, null-rip, random-rip, overwrite, loop, stop-vcpu, pause, lose-event, "
                  "register, bit-flip, wild-write, destroy, kill-supervisor; several: one after "
                  "the other, at once")
      ->required();
  command.add_option("--where", options.where,
                     "Ground of a fault in memory: instruction, code, constants, data, bss, heap, "
                     "stack, vitals, log, checkpoint, tree, digest, frames");
  command.add_option("--when", options.when, "now, work (an event waits) or running")
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Of all that is left open")->capture_default_str();
  command.add_option("--address", options.address, "Exact address in memory");
  command.add_option("--bit", options.bit, "Bit to flip");
  command.add_option("--bytes", options.bytes, "Bytes to write, in hexadecimal");
  command.add_option("--register", options.reg, "Register to flip a bit of");
  command.add_option("--value", options.value, "New instruction pointer");
  command.add_option("--after", options.after,
                     "Wait until it has done so many pieces of work (see `rate`)");
  command.add_option(
      "--settle-ms", options.settle_ms,
      "Wait so long when all is ready: what preparing took from others is past then");
  command.add_flag("--rehearse", options.rehearse,
                   "Do all of it but the change: shows what injecting costs by itself");
  command.add_option("--supervisor", options.supervisor,
                     "Process to kill: its id, or a file that holds it");
}

Result<Injected> do_faults(const Common& common, const InjectOptions& options, const Xen& xen,
                           const Record& record, const Image& image) {
  std::optional<int> supervisor;
  if (!options.supervisor.empty()) {
    const auto found = process(options.supervisor);
    if (!found) return std::unexpected(found.error());
    supervisor = *found;
  }
  std::vector<Request> requests;
  for (const std::string& name : options.faults) {
    const auto request = request_of(options, name);
    if (!request) return std::unexpected(request.error());
    requests.push_back(*request);
  }

  if (options.settle_ms != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options.settle_ms));
  }
  // A daemon is told that the victim will be stopped for a moment: that is not the fault.
  static_cast<void>(daemon::ask(
      common.state_dir, {{"op", "hold"}, {"unit", options.name}, {"ms", 2 * common.limit_ms}}));
  Injector injector(xen, {.domid = record.built.domid, .image = &image}, supervisor);
  Dice dice(options.seed);
  Injected result;
  if (options.after != 0) {
    if (const auto seen = injector.scout(requests.front(), dice); !seen) {
      return std::unexpected(seen.error());
    }
    const auto view = VitalsView::map(xen, image, record.built);
    if (!view) return std::unexpected(view.error());
    if (const auto on = await_progress(*view, options.after, common.limit()); !on) {
      return std::unexpected(on.error());
    }
  }
  for (const Request& request : requests) {
    const auto done = injector.inject(request, dice, common.limit());
    if (!done) {
      result.problem = done.error();
      break;
    }
    result.injections.push_back(to_json(*done));
    result.lines.push_back(line(options.name, *done));
  }
  if (options.rehearse) return result;
  // A daemon's history shows what was injected beside what it saw. Without one nobody needs it.
  for (const ordered_json& each : result.injections) {
    static_cast<void>(daemon::ask(common.state_dir, {{"op", "injected"},
                                                     {"unit", options.name},
                                                     {"what", each.at("fault")},
                                                     {"at_ns", each.at("dom0_ns")}}));
  }
  return result;
}

int inject(const Common& common, const InjectOptions& options) {
  const auto record = common.registry().load(options.name);
  if (!record) return complain(record.error());
  const auto image = Image::load(record->image_path);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto done = do_faults(common, options, *xen, *record, *image);
  if (!done) return complain(done.error());
  // Printed last: between two faults of a combination nothing shall take time.
  if (common.json != "-") {
    for (const std::string& each : done->lines)
      fmt::print("{}\n", each);
  }
  const int written = write_json(
      common, {{"name", options.name}, {"seed", options.seed}, {"injections", done->injections}});
  return done->problem ? complain(*done->problem) : written;
}

}  // namespace ppvmm::root::tool

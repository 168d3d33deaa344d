// drill: a campaign's faults from within dom0. A process for each of them, and for each question
// about what came of it, would take longer than the repairs.
#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "root/tool/commands.hpp"
#include "root/tool/injecting.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {
namespace {

using nlohmann::ordered_json;
using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Above the load, which would keep the drill from the processor; below root.
constexpr int kPriority = 15;
constexpr milliseconds kLookAgain{2};

/// What a plan's line begins with that is no fault of ours, but a command that does one.
constexpr const char* kCommand = "!";

struct Planned {
  std::uint64_t number{};
  std::uint64_t delay_us{};
  std::string command;  ///< For the shell, instead of `fault`.
  InjectOptions fault;
  Common common;
};

Result<Planned> planned(const std::string& text, const Common& common) {
  Planned one;
  one.common = common;
  std::istringstream line(text);
  if (!(line >> one.number >> one.delay_us)) {
    return refused("a plan's line begins with a number and microseconds, not: " + text);
  }
  std::string word;
  if (line >> word && word == kCommand) {
    std::getline(line, one.command);
    return one;
  }
  std::vector<std::string> words;
  for (; line; line >> word)
    words.insert(words.begin(), word);  // CLI11 takes them from the end
  CLI::App parser;
  add_inject_options(parser, one.fault);
  parser.add_option("--limit-ms", one.common.limit_ms);
  try {
    parser.parse(std::move(words));
  } catch (const CLI::ParseError& problem) {
    return refused(fmt::format("fault {}: {}", one.number, problem.what()));
  }
  return one;
}

Result<std::vector<Planned>> read_plan(const std::string& path, const Common& common) {
  std::ifstream file(path);
  std::vector<Planned> plan;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    auto one = planned(line, common);
    if (!one) return std::unexpected(one.error());
    plan.push_back(std::move(*one));
  }
  if (plan.empty()) return refused(path + " holds no plan");
  return plan;
}

/// Has every client been answered something that it asked at `time` or later? The file holds one
/// 64-bit time for each (bench/served_file.hpp).
bool all_served(const std::string& path, std::uint64_t time) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < sizeof time) return false;
  for (std::size_t at = 0; at + sizeof time <= bytes.size(); at += sizeof time) {
    std::uint64_t seat = 0;
    std::memcpy(&seat, bytes.data() + at, sizeof seat);
    if (seat < time) return false;
  }
  return true;
}

bool wait_served(const std::vector<std::string>& paths, std::uint64_t time, milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  const auto served = [time](const std::string& path) { return all_served(path, time); };
  while (!std::ranges::all_of(paths, served)) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

/// Runs a command that does a fault: it prints what it did as a JSON object, as `ppvmm inject
/// --json -` does or with at least the time, `dom0_ns`.
Result<Injected> do_command(const std::string& command) {
  std::FILE* const out = popen(command.c_str(), "r");
  if (out == nullptr) return failed("run " + command);
  std::string said;
  std::array<char, 4096> piece{};
  for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), out)) > 0;)
    said.append(piece.data(), got);
  const int code = pclose(out);
  ordered_json told = ordered_json::parse(said, nullptr, false);
  Injected done;
  if (told.is_object() && told.contains("injections")) {
    done.injections = std::move(told["injections"]);
  } else if (told.is_object() && told.contains("dom0_ns")) {
    done.injections.push_back(std::move(told));
  }
  if (code != 0 || done.injections.empty()) {
    done.problem =
        Failure{fmt::format("{} ended with {:#x}, saying \"{}\"", command, code, said), 0};
  }
  return done;
}

class Drill {
 public:
  Drill(Xen xen, std::string state_dir, const DrillOptions& options)
      : xen_(std::move(xen)), state_dir_(std::move(state_dir)), options_(&options) {}

  /// Does one, and says as a line of JSON what came of it. False: nothing more can be done.
  bool run(const Planned& one) {
    std::this_thread::sleep_for(microseconds(one.delay_us));
    const std::uint64_t begin = now_ns();
    ordered_json told = {{"number", one.number}, {"served", false},  {"well", true},
                         {"problem", ""},        {"refused", ""},    {"injections", nullptr},
                         {"inject_ms", 0.0},     {"served_ms", 0.0}, {"well_ms", 0.0}};
    const auto done = one.command.empty() ? inject(one) : do_command(one.command);
    const std::uint64_t injected = now_ns();
    told["inject_ms"] = to_ms(injected - begin);
    const auto problem = done ? done->problem : done.error();
    if (problem) told["problem"] = problem->text();
    bool go_on = true;
    if (!done || done->injections.empty()) {
      told["refused"] = problem->text();
    } else {
      told["injections"] = done->injections;
      go_on = await(done->injections, told);
    }
    fmt::print("{}\n", told.dump());
    std::fflush(stdout);
    return go_on;
  }

 private:
  Result<Injected> inject(const Planned& one) {
    const auto record = one.common.registry().load(one.fault.name);
    if (!record) return std::unexpected(record.error());
    auto found = images_.find(record->image_hash);
    if (found == images_.end()) {
      auto image = Image::load(record->image_path);
      if (!image) return std::unexpected(image.error());
      found = images_.emplace(record->image_hash, std::move(*image)).first;
    }
    return do_faults(one.common, one.fault, xen_, *record, found->second);
  }

  bool await(const ordered_json& injections, ordered_json& told) const {
    const std::uint64_t first = injections.front().at("dom0_ns");
    const milliseconds limit(options_->heal_ms);
    const std::uint64_t begin = now_ns();
    const bool served = wait_served(options_->served, first, limit);
    const std::uint64_t answered = now_ns();
    told["served"] = served;
    told["served_ms"] = to_ms(answered - begin);
    auto all = served ? wait_well(state_dir_, milliseconds(options_->hold_ms), limit)
                      : refused("clients are not served");
    // What repairs meanwhile took from clients again.
    if (all && !wait_served(options_->served, now_ns(), limit)) {
      all = refused("all was well, but clients were not served any more");
      told["served"] = false;
    }
    told["well"] = all.has_value();
    told["well_ms"] = to_ms(now_ns() - answered);
    if (!all) told["problem"] = all.error().text();
    return all.has_value();
  }

  Xen xen_;
  std::string state_dir_;
  const DrillOptions* options_;
  std::map<std::uint64_t, Image> images_;
};

}  // namespace

int drill(const Common& common, const DrillOptions& options) {
  const auto plan = read_plan(options.plan, common);
  if (!plan) return complain(plan.error());
  auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const sched_param priority{.sched_priority = kPriority};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
    return complain({"run at real-time priority", errno});
  }
  Drill drill(std::move(*xen), common.state_dir, options);
  for (const Planned& one : *plan) {
    std::error_code none;
    if (!options.stop.empty() && std::filesystem::exists(options.stop, none)) break;
    if (!drill.run(one)) break;
  }
  return kDone;
}

}  // namespace ppvmm::root::tool

// differential: random and written scenarios on our XenStore machine and on the two existing
// servers, compared step by step. See docs/differential.md.
#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "differential/generator.hpp"
#include "differential/own_server.hpp"
#include "differential/peer_server.hpp"
#include "differential/session.hpp"
#include "differential/shrink.hpp"

namespace {

using namespace ppvmm::differential;
namespace fs = std::filesystem;

constexpr int kExitSkipped = 77;

struct Totals {
  std::size_t scenarios{};
  std::size_t findings{};
  std::size_t steps{};
  std::map<std::string, std::size_t> kinds;
  std::map<std::string, std::size_t> met;
  std::map<std::string, std::size_t> compared;
};

struct Program {
  std::vector<std::string> servers{"ppvmm", "xenstored", "oxenstored"};
  ppvmm::peers::PeerFiles files;
  std::uint64_t first{1};
  std::uint64_t seeds{100};
  std::size_t steps{200};
  std::uint64_t seconds{0};
  std::size_t shrink_budget{400};
  bool keep_going{false};
  std::vector<fs::path> cases;
  Totals totals;

  std::vector<std::unique_ptr<Server>> make(const Limits& limits) const {
    std::vector<std::unique_ptr<Server>> made;
    for (const std::string& name : servers) {
      if (name == "ppvmm")
        made.push_back(std::make_unique<OwnServer>(limits));
      else
        made.push_back(std::make_unique<PeerServer>(name == "xenstored"
                                                        ? ppvmm::peers::PeerKind::xenstored
                                                        : ppvmm::peers::PeerKind::oxenstored,
                                                    limits, files));
    }
    return made;
  }

  Outcome run(const Scenario& scenario) const {
    return Session{scenario, [this](const Limits& limits) { return make(limits); }}.run();
  }

  /// Counts the outcome; prints a finding, shrunk, under `title`.
  void take(const std::string& title, const Scenario& scenario) {
    const Outcome outcome = run(scenario);
    ++totals.scenarios;
    totals.steps += scenario.steps.size();
    for (const auto& [rule, count] : outcome.met)
      totals.met[rule] += count;
    for (const auto& [server, count] : outcome.steps)
      totals.compared[server] += count;
    if (!outcome.finding) return;
    ++totals.findings;
    ++totals.kinds[outcome.finding->signature];
    std::cout << "DIFFERENCE in " << title << ": " << outcome.finding->what << '\n' << std::flush;
    if (shrink_budget == 0) return;
    const std::string wanted = outcome.finding->signature;
    const Scenario small = shrink(
        scenario,
        [&](const Scenario& smaller) {
          const Outcome again = run(smaller);
          return again.finding && again.finding->signature == wanted;
        },
        shrink_budget);
    const Outcome last = run(small);
    std::cout << "shrunk to " << small.steps.size()
              << " steps: " << (last.finding ? last.finding->what : "not reproducible") << "\n---\n"
              << to_text(small) << "---\n"
              << std::flush;
  }

  bool missing_peer() const {
    for (const auto kind : {ppvmm::peers::PeerKind::xenstored, ppvmm::peers::PeerKind::oxenstored})
      if (std::ranges::count(servers, ppvmm::peers::name_of(kind)) != 0 &&
          !ppvmm::peers::find_peer(kind, files))
        return true;
    return false;
  }

  void run_cases() {
    for (const fs::path& path : cases) {
      std::stringstream text;
      text << std::ifstream(path).rdbuf();
      const auto scenario = parse_scenario(text.str());
      if (!scenario) throw std::runtime_error(path.string() + ": " + scenario.error());
      take(path.filename().string(), *scenario);
    }
  }

  void run_seeds() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
      if (seconds != 0 && std::chrono::steady_clock::now() >= end) break;
      if (totals.findings != 0 && !keep_going) break;
      take("seed " + std::to_string(seed), generate(seed, steps));
    }
  }

  void report() const {
    std::cout << totals.scenarios << " scenarios, " << totals.steps << " steps, " << totals.findings
              << " unlisted differences\n";
    for (const auto& [server, count] : totals.compared)
      std::cout << "  " << count << " steps compared with " << server << '\n';
    for (const auto& [kind, count] : totals.kinds)
      std::cout << "  UNLISTED " << kind << ": " << count << '\n';
    for (const auto& [rule, count] : totals.met)
      std::cout << "  accepted " << rule << ": " << count << '\n';
  }
};

void print_rules() {
  for (const Rule& rule : accepted_differences())
    std::cout << rule.name << " (" << rule.server
              << (rule.effect == Rule::Effect::parted ? ", ends the comparison" : "") << ")\n  "
              << rule.reason << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  Program program;
  bool rules = false;
  CLI::App app{"Compares XenStore servers on random and written scenarios"};
  app.add_option("--first", program.first, "first seed")->capture_default_str();
  app.add_option("--seeds", program.seeds, "number of seeds")->capture_default_str();
  app.add_option("--steps", program.steps, "random steps per seed")->capture_default_str();
  app.add_option("--seconds", program.seconds, "stop starting seeds after this time; 0: never")
      ->capture_default_str();
  app.add_option("--case", program.cases, "scenario files to run before the seeds");
  app.add_option("--servers", program.servers, "servers to compare; the first is the measure")
      ->delimiter(',')
      ->check(CLI::IsMember({"ppvmm", "xenstored", "oxenstored"}))
      ->capture_default_str();
  app.add_option("--root", program.files.root, "extracted Debian packages with the daemons")
      ->envname("PPVMM_XEN_ROOT");
  app.add_option("--shrink", program.shrink_budget, "most runs to spend on making a finding small")
      ->capture_default_str();
  app.add_flag("--keep-going", program.keep_going, "go on after a difference");
  app.add_flag("--rules", rules, "print the accepted differences and end");
  app.footer("Exit status: 0 all alike, 1 a difference, 77 a daemon is not installed, else usage.");
  CLI11_PARSE(app, argc, argv);
  if (rules) {
    print_rules();
    return 0;
  }
  if (program.missing_peer()) {
    std::cerr << "differential: xenstored and oxenstored are in Debian's package xen-utils-4.17\n";
    return kExitSkipped;
  }
  try {
    program.run_cases();
    program.run_seeds();
  } catch (const std::exception& error) {
    std::cerr << "differential: " << error.what() << '\n';
    return 1;
  }
  program.report();
  return program.totals.findings == 0 ? 0 : 1;
}

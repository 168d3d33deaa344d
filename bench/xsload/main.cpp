// ppvmm-xsload: the load that every XenStore under test gets. Exit codes: 0 measured and every
// answer right, 1 a wrong answer or no server, 2 wrong usage, 3 the time limit ran out.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "load.hpp"
#include "operation.hpp"
#include "report.hpp"

namespace {

using namespace ppvmm::xsload;

constexpr int kUsage = 2;

struct Arguments {
  std::string server;
  std::vector<std::string> operations;
  std::vector<std::uint32_t> clients{1};
  std::uint32_t nodes{100};
  std::uint32_t value_size{32};
  std::uint32_t window{16};
  std::string base{"/ppvmm-bench"};
  std::uint32_t warmup{20};
  std::uint64_t count{1000};
  double seconds{0};
  unsigned time_limit{120};
  bool reuse{};
  bool keep{};
  std::string json;
  std::string csv;
};

/// A server that stops answering must not stop the benchmark. Only calls that are safe in a signal
/// handler.
extern "C" void time_is_up(int) {
  static constexpr char kText[] = "ppvmm-xsload: the time limit ran out, no answer came\n";
  (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
  ::_exit(3);
}

std::string default_server() {
  for (const char* path : {"/var/run/xenstored/socket", "/dev/xen/xenbus", "/proc/xen/xenbus"}) {
    if (::access(path, R_OK | W_OK) == 0) return path;
  }
  return "/var/run/xenstored/socket";
}

void describe(CLI::App& app, Arguments& arguments) {
  app.add_option("--connect", arguments.server,
                 "Unix socket or xenbus device (default: $XENSTORED_PATH or the first that exists "
                 "of the standard socket, /dev/xen/xenbus, /proc/xen/xenbus)")
      ->envname("XENSTORED_PATH");
  app.add_option("--op", arguments.operations, "operations to measure, one after the other")
      ->delimiter(',')
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(kOperations), std::end(kOperations))));
  app.add_option("--clients", arguments.clients,
                 "connections, each with one operation under way; several numbers are measured "
                 "one after the other")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  app.add_option("--nodes", arguments.nodes, "shared leaves to read and list")
      ->check(CLI::Range(1, 400000));
  app.add_option("--value-size", arguments.value_size, "bytes in each value")
      ->check(CLI::Range(24, 2000));
  app.add_option("--base", arguments.base, "where the tree is made: absolute or relative");
  app.add_option("--window", arguments.window, "connections that make the tree")
      ->check(CLI::Range(1, 1000));
  app.add_option("--warmup", arguments.warmup, "operations of each client that are not counted");
  app.add_option("--count", arguments.count, "operations of each client; 0: until --seconds");
  app.add_option("--seconds", arguments.seconds, "stop after this time; 0: until --count")
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--time-limit", arguments.time_limit, "seconds until the whole run gives up");
  app.add_flag("--reuse", arguments.reuse, "the tree is there from a run with --keep");
  app.add_flag("--keep", arguments.keep, "leave the tree behind");
  app.add_option("--json", arguments.json, "write the summaries here (- for standard output)");
  app.add_option("--csv", arguments.csv, "write every sample here (- for standard output)");
}

/// Writes with `writer` to the file `path`, or to standard output for "-".
template <typename Writer>
void write_to(const std::string& path, Writer writer) {
  if (path == "-") {
    writer(std::cout);
    return;
  }
  std::ofstream file(path);
  writer(file);
  file.close();
  if (!file) throw Failure("cannot write " + path);
}

void run(const Arguments& arguments) {
  const Tree tree(arguments.base, arguments.nodes, arguments.value_size);
  Connection control(arguments.server);
  double populate_s = 0;
  if (!arguments.reuse) {
    remove(control, tree);
    populate_s =
        std::chrono::duration<double>(populate(arguments.server, tree, arguments.window)).count();
  }
  // With results on standard output, the lines for people go elsewhere.
  auto& lines = arguments.json == "-" || arguments.csv == "-" ? std::cerr : std::cout;
  std::vector<Result> results;
  for (const auto& operation : arguments.operations) {
    for (const auto clients : arguments.clients) {
      Plan plan;
      plan.server = arguments.server;
      plan.operation = operation;
      plan.clients = clients;
      plan.warmup = arguments.warmup;
      plan.count = arguments.count;
      plan.duration = std::chrono::milliseconds(static_cast<long>(arguments.seconds * 1000));
      results.push_back({plan, arguments.nodes, arguments.value_size, measure(plan, tree)});
      write_line(lines, results.back());
    }
  }
  if (!arguments.keep) remove(control, tree);
  if (!arguments.json.empty()) {
    write_to(arguments.json, [&](std::ostream& out) { out << to_json(results, populate_s); });
  }
  if (!arguments.csv.empty()) {
    write_to(arguments.csv, [&](std::ostream& out) { write_csv(out, results); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app("Measures a XenStore server through a socket or a kernel's xenbus device.",
                 "ppvmm-xsload");
    app.footer(
        "Without --op it only makes the tree. Exit codes: 0 measured and every answer right, 1 a "
        "wrong answer or no server, 2 wrong usage, 3 the time limit ran out.");
    Arguments arguments;
    describe(app, arguments);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : kUsage;
    }
    if (arguments.count == 0 && arguments.seconds == 0) {
      std::cerr << "ppvmm-xsload: --count 0 needs --seconds\n";
      return kUsage;
    }
    if (arguments.server.empty()) arguments.server = default_server();
    std::signal(SIGALRM, time_is_up);
    ::alarm(arguments.time_limit);
    run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ppvmm-xsload: %s\n", error.what());
    return 1;
  }
  return 0;
}

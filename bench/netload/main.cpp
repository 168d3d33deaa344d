// netload: TCP streams both ways, request-response latency, and streams whose every byte is judged,
// between two machines, measured at the starter. Small and static, for guests that hold nothing
// but busybox.
//
// Exit codes: 0 measured, 1 the connection broke, 2 wrong usage, 3 wrong bytes came (check).
#include <CLI/CLI.hpp>

#include "loads.hpp"
#include "net_address.hpp"
#include "socket.hpp"

namespace {

using namespace ppvmm::netload;

constexpr int kUsage = 2;

void describe_target(CLI::App& command, Options& options) {
  command.add_option("--to", options.to, "ADDRESS:PORT of a `netload serve`")
      ->required()
      ->check([](const std::string& text) {
        return ppvmm::bench::address_of(text) ? std::string()
                                              : "ADDRESS:PORT is wanted, not " + text;
      });
  command.add_option("--seconds", options.seconds, "how long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--size", options.size, "bytes of each piece")
      ->check(CLI::Range(1u, kLargestPiece));
  command.add_option("--json", options.json, "write the result here instead of standard output");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("TCP streams and round trips between two machines");
  app.require_subcommand(1);
  Options options;
  auto* serving = app.add_subcommand("serve", "serve any number of loads");
  serving->add_option("--port", options.port, "to listen on")->capture_default_str();
  auto* sending = app.add_subcommand("send", "stream there; counted where it arrives");
  auto* getting = app.add_subcommand("get", "stream back");
  auto* echoing = app.add_subcommand("echo", "how long one piece takes there and back");
  auto* checking = app.add_subcommand("check", "stream both ways, and judge every byte");
  for (CLI::App* command : {sending, getting, echoing, checking})
    describe_target(*command, options);
  checking->add_option("--connections", options.connections, "at the same time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  checking->add_option("--seed", options.seed, "of the bytes")->capture_default_str();
  checking->add_option("--rate", options.rate,
                       "bytes per second of each connection and way; 0: as fast as it goes");
  checking
      ->add_option("--grace", options.grace,
                   "seconds after the end until a connection that says nothing counts as broken")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  checking->add_option("--served", options.served,
                       "file that holds, for each connection all the time, when the last piece was "
                       "begun that is known to have got there");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (serving->parsed()) return serve(options);
  if (checking->parsed()) return check(options);
  return measure(options, sending->parsed()   ? Mode::send
                          : getting->parsed() ? Mode::get
                                              : Mode::echo);
}

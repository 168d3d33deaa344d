// ppvmm: starts, watches and repairs unikernels from dom0.
#include <CLI/CLI.hpp>
#include <functional>

#include "root/tool/commands.hpp"
#include "root/tool/net.hpp"

namespace {

using namespace ppvmm::root::tool;

void add_common(CLI::App& app, Common& common) {
  app.add_option("--json", common.json, "Also write the result as JSON to this file (-: stdout)");
  app.add_option("--state-dir", common.state_dir, "Where started unikernels are remembered")
      ->capture_default_str();
  app.add_option("--limit-ms", common.limit_ms, "Longest wait for a unikernel, in ms")
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Starts, watches and repairs PpVMM unikernels. Run it as root in dom0.\n"
      "Exit code: 0 done, 1 it went wrong, over 100 wrong usage."};
  app.require_subcommand(1);
  Common common;
  std::function<int()> run;
  const auto command = [&](CLI::App& parent, const char* name, const char* help,
                           std::function<int()> what) {
    CLI::App* sub = parent.add_subcommand(name, help);
    add_common(*sub, common);
    sub->callback([&run, what = std::move(what)] { run = what; });
    return sub;
  };

  StartOptions start_options;
  auto* sub = command(app, "start", "Build a unikernel's domain and wait until it is ready",
                      [&] { return start(common, start_options); });
  sub->add_option("image", start_options.image, "Image file")->required();
  sub->add_option("--name", start_options.name, "Name for later commands")->required();
  sub->add_option("--domid", start_options.domid, "Free domain id to take");
  sub->add_option("--memory", start_options.memory_mib, "MiB")->capture_default_str();
  sub->add_option("--cmdline", start_options.cmdline, "Command line for the unikernel");

  AdoptOptions adopt_options;
  sub = command(app, "adopt", "Take a unikernel under care that xl created",
                [&] { return adopt(common, adopt_options); });
  sub->add_option("image", adopt_options.image, "Image file that it was created from")->required();
  sub->add_option("--name", adopt_options.name, "Name for later commands")->required();
  sub->add_option("--domid", adopt_options.domid, "Its domain id")->required();

  std::string name;
  sub = command(app, "stop", "Destroy a unikernel's domain and forget it",
                [&] { return stop(common, name); });
  sub->add_option("name", name)->required();

  std::size_t times = 1;
  sub = command(app, "microreboot", "Put the image back in place and re-enter it",
                [&] { return microreboot(common, name, times); });
  sub->add_option("name", name)->required();
  sub->add_option("--times", times, "How many times")->capture_default_str();

  sub = command(app, "rebuild", "Destroy the domain and build it again under the same id",
                [&] { return rebuild(common, name); });
  sub->add_option("name", name)->required();

  sub = command(app, "vitals", "Show a unikernel's vitals page",
                [&] { return vitals(common, name); });
  sub->add_option("name", name)->required();

  command(app, "status", "List the unikernels started here", [&] { return status(common); });

  std::size_t last = 0;
  sub = command(app, "history", "Every fault that the daemon saw, and what it did about it",
                [&] { return history(common, last); });
  sub->add_option("--last", last, "Only so many (0: all)")->capture_default_str();

  std::uint32_t hold_ms = 100;
  sub = command(app, "await-well", "Wait until all that the daemon watches is well",
                [&] { return await_well(common, hold_ms); });
  sub->add_option("--hold-ms", hold_ms, "And stays so for this long")->capture_default_str();

  std::string image;
  std::vector<std::string> addresses;
  sub = command(app, "symbols", "Name the functions at addresses of an image",
                [&] { return symbols(common, image, addresses); });
  sub->add_option("image", image, "Image file with its symbol table")->required();
  sub->add_option("addresses", addresses, "Hexadecimal")->required();

  bool follow = false;
  bool peek = false;
  sub = command(app, "console", "Read a unikernel's console ring without xenconsoled",
                [&] { return console(common, name, follow, peek); });
  sub->add_option("name", name)->required();
  sub->add_flag("--follow", follow, "Go on until the domain ends");
  sub->add_flag("--peek", peek, "Leave what is read in the ring");

  KillTestOptions kill_options;
  sub = command(app, "kill-test", "Kill a test unikernel many times in one boot and re-enter it",
                [&] { return kill_test(common, kill_options); });
  sub->add_option("image", kill_options.image, "Image file of the kill-test unikernel")->required();
  sub->add_option("--rounds", kill_options.rounds, "How many kills")->capture_default_str();
  sub->add_option("--death", kill_options.deaths,
                  "Only this one (trap, null call, wild jump, stack overflow, hang); repeatable");

  InjectOptions inject_options;
  sub = command(app, "inject", "Do a fault to a running unikernel, from outside",
                [&] { return inject(common, inject_options); });
  add_inject_options(*sub, inject_options);

  DrillOptions drill_options;
  sub = command(app, "drill", "Do the faults of a plan one after the other, each to a whole system",
                [&] { return drill(common, drill_options); });
  sub->add_option(
         "plan", drill_options.plan,
         "File with lines: number, microseconds to wait, arguments of `inject`; or `!` and "
         "a command that does a fault and says so as `inject --json -` does")
      ->required();
  sub->add_option("--served", drill_options.served,
                  "Files that a load keeps: for each client, when what was answered last was asked")
      ->required();
  sub->add_option("--stop", drill_options.stop, "Begin no more when this file exists");
  sub->add_option("--hold-ms", drill_options.hold_ms, "How long all must be well before the next")
      ->capture_default_str();
  sub->add_option("--heal-ms", drill_options.heal_ms,
                  "Longest wait for clients to be served, then for all to be well")
      ->capture_default_str();

  std::uint32_t length_ms = 1000;
  sub = command(app, "rate", "Sample how fast a unikernel works",
                [&] { return rate(common, name, length_ms); });
  sub->add_option("name", name)->required();
  sub->add_option("--ms", length_ms, "How long")->capture_default_str();

  auto* store = app.add_subcommand("xenstore", "The host's XenStore domain");
  store->require_subcommand(1);
  XenstoreOptions store_options;
  sub = command(*store, "start", "Make a unikernel this host's XenStore",
                [&] { return xenstore_start(common, store_options); });
  sub->add_option("image", store_options.image, "Image file")->required();
  sub->add_option("--name", store_options.name)->capture_default_str();
  sub->add_option("--domid", store_options.domid, "Free domain id to take");
  sub->add_option("--memory", store_options.memory_mib, "MiB")->capture_default_str();
  sub->add_option("--replicas", store_options.replicas, "1, or 3: a primary and two backups")
      ->capture_default_str();
  sub->add_option("--backup-memory", store_options.backup_memory_mib, "MiB of each backup")
      ->capture_default_str();
  sub->add_option(
         "--console", store_options.console,
         "Who reads the consoles: xenconsoled (default of one replica), or root (of three)")
      ->check(CLI::IsMember({"xenconsoled", "root"}));
  sub->add_option("--cmdline", store_options.cmdline, "More command line for every replica");

  NetOptions net_options;
  add_net_commands(app, net_options,
                   [&](CLI::App& parent, const char* called, const char* help,
                       std::function<int(const Common&)> what) {
                     return command(parent, called, help,
                                    [&common, what = std::move(what)] { return what(common); });
                   });

  CLI11_PARSE(app, argc, argv);
  return run();
}

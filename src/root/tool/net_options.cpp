// ppvmm net: its subcommands and their options.
#include <CLI/CLI.hpp>

#include "root/tool/net.hpp"

namespace ppvmm::root::tool {

void add_net_commands(CLI::App& app, NetOptions& options, const AddCommand& add) {
  auto* net = app.add_subcommand("net", "Network driver domains (net_uk)");
  net->require_subcommand(1);

  auto* sub = add(*net, "start", "Build a net_uk with its card and its place in XenStore",
                  [&options](const Common& common) { return net_start(common, options); });
  sub->add_option("image", options.image, "Image file")->required();
  sub->add_option("--name", options.name, "Name, as backend= of guests has it")
      ->capture_default_str();
  sub->add_option("--pci", options.pci, "Address of a card that pciback holds; repeatable");
  sub->add_option("--memory", options.memory_mib, "MiB")->capture_default_str();
  sub->add_option("--domid", options.domid, "Free domain id to take");
  sub->add_option("--cmdline", options.cmdline, "Command line for the unikernel");

  sub = add(*net, "move", "Move the vifs of all guests to another net_uk",
            [&options](const Common& common) { return net_move(common, options); });
  sub->add_option("from", options.name)->required();
  sub->add_option("to", options.other)->required();

  sub = add(*net, "order", "Tell a net_uk to do something",
            [&options](const Common& common) { return net_order(common, options); });
  sub->add_option("name", options.name)->required();
  sub->add_option("order", options.order)
      ->required()
      ->check(CLI::IsMember({"take-over", "repair-driver", "repair-netback", "statistics"}));

  add(*net, "errands", "For root: do what standard input says, line by line",
      [](const Common& common) { return net_errands(common); });
}

}  // namespace ppvmm::root::tool

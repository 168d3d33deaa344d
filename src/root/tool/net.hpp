/// The commands of `ppvmm net`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "root/tool/commands.hpp"
#include "root/xs_client.hpp"

namespace ppvmm::root::tool {

struct NetOptions {
  std::string image;
  std::string name{"net_uk"};
  std::string other;
  std::string order;
  std::vector<std::string> pci;
  std::uint32_t memory_mib{16};
  std::optional<std::uint16_t> domid;
  std::string cmdline;
};

/// How main() makes a subcommand: with the options that all have.
using AddCommand = std::function<CLI::App*(CLI::App& parent, const char* name, const char* help,
                                           std::function<int(const Common&)> run)>;
void add_net_commands(CLI::App& app, NetOptions& options, const AddCommand& add);

[[nodiscard]] int net_start(const Common& common, const NetOptions& options);
[[nodiscard]] int net_move(const Common& common, const NetOptions& options);
[[nodiscard]] int net_order(const Common& common, const NetOptions& options);
/// Stands by for root (daemon/errands.hpp) until its standard input ends.
[[nodiscard]] int net_errands(const Common& common);
/// All vifs of one net_uk to another, by their names in the registry; how many.
[[nodiscard]] Result<std::uint64_t> move_between(XsClient& store, const Registry& registry,
                                                 const std::string& from, const std::string& to);
/// Ends one that root built: domain, pciback's hold, entries. The daemon has let go of it.
[[nodiscard]] Result<void> net_end(const Common& common, const Record& record);

}  // namespace ppvmm::root::tool

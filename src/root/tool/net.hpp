/// The commands of `ppvmm net`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "root/tool/commands.hpp"

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
[[nodiscard]] int net_join(const Common& common, const NetOptions& options);
[[nodiscard]] int net_leave(const Common& common, const NetOptions& options);
/// Ends one that root built: domain, pciback's hold, entries. The daemon has let go of it.
[[nodiscard]] Result<void> net_end(const Common& common, const Record& record);

}  // namespace ppvmm::root::tool

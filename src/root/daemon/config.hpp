/// The daemon's configuration: a TOML file in, checked values out. A mistake is refused with the
/// file, the line and what was expected there; nothing is guessed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "root/daemon/policy.hpp"
#include "root/failure.hpp"

namespace ppvmm::root::daemon {

struct UnitConfig {
  std::optional<std::string> policy;              ///< Name of a policy; nothing: the default one.
  std::optional<std::vector<std::string>> after;  ///< Nothing: the host's XenStore, if it is ours.
};

struct Config {
  /// How often Xen and the vitals pages are asked while nothing is wrong. What ends without a word
  /// is seen after at most this long.
  std::uint64_t pace_ns{2'000'000};
  /// Pages of code and constants compared with the image each second, over all units; 0: none.
  std::uint64_t scrub_pages{2000};
  bool realtime{true};         ///< Run before everything else in dom0, memory locked.
  std::string console_folder;  ///< Where consoles that root keeps are logged; empty: nowhere.
  std::string metrics;         ///< "address:port" on loopback; empty: no metrics.
  std::string policy{"fg"};    ///< Of units that name none.
  std::map<std::string, Policy> policies;  ///< Presets and those of the file, by name.
  std::map<std::string, UnitConfig> units;

  /// The policy for the unit `name`. A XenStore without replicas is never repaired by default: it
  /// would come back empty. The spare of another unit, if it has no policy of its own, has that
  /// unit's, and that unit as its spare: after a switch they have changed places.
  [[nodiscard]] Policy policy_for(const std::string& name, bool lone_store) const;
};

/// What holds without a file.
[[nodiscard]] Config default_config();

/// Reads `text`; `path` is for messages.
[[nodiscard]] Result<Config> parse_config(std::string_view text, const std::string& path);
[[nodiscard]] Result<Config> load_config(const std::string& path);

}  // namespace ppvmm::root::daemon

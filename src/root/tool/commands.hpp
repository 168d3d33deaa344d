/// The commands of `ppvmm`. Each returns the exit code: 0 done, 1 it went wrong (said on
/// stderr).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "root/image.hpp"
#include "root/registry.hpp"
#include "root/xen.hpp"

namespace CLI {
class App;
}

namespace ppvmm::root::tool {

inline constexpr int kDone = 0;
inline constexpr int kWrong = 1;

/// Options that every command has.
struct Common {
  std::string state_dir{"/run/ppvmm"};
  std::string json;  ///< Where to write the result as JSON; "-": standard output; empty: nowhere.
  std::uint32_t limit_ms{5000};

  [[nodiscard]] std::chrono::milliseconds limit() const {
    return std::chrono::milliseconds(limit_ms);
  }
  [[nodiscard]] Registry registry() const { return Registry(state_dir); }
};

struct StartOptions {
  std::string image;
  std::string name;
  std::optional<std::uint16_t> domid;
  std::uint32_t memory_mib{16};
  std::string cmdline;
};
[[nodiscard]] int start(const Common& common, const StartOptions& options);
/// Unpauses a domain that was built and waits, within the common limit, until it says that it is
/// ready. Returns the nanoseconds from the one to the other.
[[nodiscard]] Result<std::uint64_t> run_until_ready(const Xen& xen, const Image& image,
                                                    const BuiltDomain& built, const Common& common);
/// A domain that somebody else built from a unikernel image, as `xl create` does.
struct AdoptOptions {
  std::string image;
  std::string name;
  std::uint16_t domid{};
};
[[nodiscard]] int adopt(const Common& common, const AdoptOptions& options);
[[nodiscard]] int stop(const Common& common, const std::string& name);
[[nodiscard]] int microreboot(const Common& common, const std::string& name, std::size_t times);
[[nodiscard]] int rebuild(const Common& common, const std::string& name);

[[nodiscard]] int vitals(const Common& common, const std::string& name);
[[nodiscard]] int status(const Common& common);
/// What the daemon saw and did. `last`: only so many; 0: all that it keeps.
[[nodiscard]] int history(const Common& common, std::size_t last);
/// Waits until the daemon has found all units well for `hold_ms` on end: what has just happened to
/// one of them may not be seen yet.
[[nodiscard]] int await_well(const Common& common, std::uint32_t hold_ms);
[[nodiscard]] int symbols(const Common& common, const std::string& image,
                          const std::vector<std::string>& addresses);
[[nodiscard]] int console(const Common& common, const std::string& name, bool follow, bool peek);

struct KillTestOptions {
  std::string image;
  std::size_t rounds{1000};
  std::vector<std::string> deaths;  ///< Names; empty: all.
  std::uint32_t memory_mib{16};
};
[[nodiscard]] int kill_test(const Common& common, const KillTestOptions& options);

struct XenstoreOptions {
  std::string image;
  std::string name{"Xenstore"};
  std::optional<std::uint16_t> domid;
  std::uint32_t memory_mib{64};
  std::uint32_t replicas{1};  ///< 1, or 3: a primary and two backups.
  std::uint32_t backup_memory_mib{64};
  std::string console;  ///< Who reads their consoles: xenconsoled or root; empty: as replicas ask.
  std::string cmdline;
};
[[nodiscard]] int xenstore_start(const Common& common, const XenstoreOptions& options);

/// Faults from outside (root/inject.hpp). Empty texts: drawn from the seed.
struct InjectOptions {
  std::string name;
  std::vector<std::string> faults;
  std::string where;
  std::string when{"now"};
  std::uint64_t seed{1};
  std::string address;
  std::optional<unsigned> bit;
  std::string bytes;
  std::string reg;
  std::string value;
  std::string supervisor;
  bool rehearse{};
  std::uint32_t settle_ms{};  ///< Between being ready and doing it.
  std::uint64_t after{};      ///< Pieces of work to wait for first (root/progress_meter.hpp).
};
/// Samples a unikernel's progress for a time.
[[nodiscard]] int rate(const Common& common, const std::string& name, std::uint32_t length_ms);

void add_inject_options(CLI::App& command, InjectOptions& options);
[[nodiscard]] int inject(const Common& common, const InjectOptions& options);

/// Many faults, one after the other, each to a system that is well.
struct DrillOptions {
  std::string plan;                 ///< File: a line for each fault.
  std::vector<std::string> served;  ///< Files that the load keeps: a time for each client.
  std::string stop;                 ///< File: once it is there, no more is begun.
  std::uint32_t hold_ms{120};       ///< All must have been well for so long before the next one.
  std::uint32_t heal_ms{20'000};    ///< Longest wait for clients, and then for all to be well.
};
[[nodiscard]] int drill(const Common& common, const DrillOptions& options);

}  // namespace ppvmm::root::tool

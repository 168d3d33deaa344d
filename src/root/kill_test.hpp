/// Kills a test unikernel again and again in one boot and brings it back in place each time, with
/// everything that had to survive intact: the proof that a microreboot works.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/microreboot.hpp"
#include "root/summary.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// One way to die. `order` is what the test image is told (abi::Orders::words).
struct Death {
  std::string_view name;
  std::string_view order;
  bool by_hang;  ///< Seen from outside by the lack of progress, not by a stopped domain.
};

/// The ways of issue section 3, in the order they take turns.
[[nodiscard]] std::vector<Death> all_deaths();

/// One kill and its repair. Times in nanoseconds of dom0's clock.
struct KillRecord {
  std::size_t round{};
  std::string_view death;
  std::uint64_t detect_ns{};  ///< From the order to die until root knew.
  MicrorebootReport reentry;  ///< From there until the unikernel was ready again.
};

struct KillOutcome {
  std::vector<KillRecord> kills;
  std::string failure;  ///< Why it ended early; empty when every round was good.
};

struct KillPlan {
  std::size_t rounds{};
  std::vector<Death> deaths;
  std::chrono::milliseconds limit{2000};  ///< For each detection and each re-entry.
};

/// Runs the plan on a domain built from `image` and already running. `progress` hears after each
/// round how many are done. Ends at the first round that goes wrong.
[[nodiscard]] Result<KillOutcome> kill_test(const Xen& xen, const Image& image,
                                            const BuiltDomain& built, const KillPlan& plan,
                                            const std::function<void(std::size_t)>& progress);

}  // namespace ppvmm::root

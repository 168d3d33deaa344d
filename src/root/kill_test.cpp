#include "root/kill_test.hpp"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <optional>

#include "root/judge.hpp"
#include "root/watch.hpp"

namespace ppvmm::root {
namespace {

/// A hang is only seen by silence. The test's unikernel is never silent for more than a
/// millisecond, but on a loaded host it may not get to run, and Xen takes long to print a crash.
constexpr Patience kPatience{.start_ns = 2'000'000'000,
                             .silence_ns = 20'000'000,
                             .idle_ns = 20'000'000,
                             .answer_ns = 200'000'000};
constexpr std::chrono::milliseconds kPace{1};

/// What must be the same after each rebirth.
struct Baseline {
  std::uint32_t used{};
  std::uint64_t sum{};
};

class KillTest {
 public:
  KillTest(const Xen& xen, const BuiltDomain& built, const KillPlan& plan, Watch& watch,
           Microreboot& reboot)
      : xen_(xen), built_(built), plan_(plan), watch_(watch), reboot_(reboot) {}

  /// Waits for the first readiness and remembers what has to survive.
  Result<void> begin() {
    if (auto ready =
            wait_ready(xen_, built_.domid, watch_.vitals(), 0, watch_.events(), plan_.limit);
        !ready) {
      return ready;
    }
    if (auto linked = watch_.link_up(); !linked) return linked;
    const auto region = watch_.vitals().region();
    if (const auto fault = survivors_fault(*region); !fault.empty()) return refused(fault);
    if (region->page.survivors_used == 0) return refused("the image registers no survivors");
    baseline_ = {.used = region->page.survivors_used, .sum = region->page.survivors_sum};
    return {};
  }

  Result<KillRecord> round(std::size_t number) {
    const Death& death = plan_.deaths[number % plan_.deaths.size()];
    KillRecord record;
    record.round = number;
    record.death = death.name;
    Judge judge(kPatience);
    static_cast<void>(judge.observe(watch_.look()));

    watch_.vitals().order_words(death.order);
    const std::uint64_t ordered = now_ns();
    if (const auto told = watch_.ping(); !told) return std::unexpected(told.error());
    const auto health = watch_.until_ill(judge, kPace, plan_.limit);
    if (!health) return std::unexpected(health.error());
    record.detect_ns = now_ns() - ordered;
    const auto cause = cause_of(death, *health);
    if (!cause) return std::unexpected(cause.error());

    watch_.vitals().order_words("");
    const auto times =
        reboot_.run(*cause, watch_.vitals(), watch_.events(), watch_.link(), plan_.limit);
    if (!times) return std::unexpected(times.error());
    record.reentry = *times;
    if (const auto same = verify(number); !same) return std::unexpected(same.error());
    return record;
  }

 private:
  /// Checks that it died the way it was told to, and completes the fault record if it could not.
  Result<abi::FaultKind> cause_of(const Death& death, Health health) {
    if (death.by_hang != (health == Health::hung)) {
      return refused(fmt::format("\"{}\" was seen as {}", death.name, name_of(health)));
    }
    if (health == Health::faulted) return watch_.vitals().page().fault.kind;
    if (health != Health::hung && health != Health::dead) {
      return refused(fmt::format("\"{}\" left it {}", death.name, name_of(health)));
    }
    const auto kind = health == Health::hung ? abi::FaultKind::hang : abi::FaultKind::hard;
    const auto rip = xen_.instruction_pointer(built_.domid);
    if (!rip) return std::unexpected(rip.error());
    watch_.vitals().record_end(kind, *rip);
    return kind;
  }

  Result<void> verify(std::size_t number) {
    const auto region = watch_.vitals().region();
    if (const auto fault = survivors_fault(*region); !fault.empty()) {
      return refused(fmt::format("after kill {}: {}", number + 1, fault));
    }
    if (region->page.survivors_used != baseline_.used ||
        region->page.survivors_sum != baseline_.sum) {
      return refused(fmt::format("after kill {}: the survivors are not the same", number + 1));
    }
    if (region->page.verdict != abi::Verdict::passed) {
      return refused(fmt::format("after kill {}: the image found a survivor damaged", number + 1));
    }
    return {};
  }

  const Xen& xen_;
  const BuiltDomain& built_;
  const KillPlan& plan_;
  Watch& watch_;
  Microreboot& reboot_;
  Baseline baseline_;
};

}  // namespace

std::vector<Death> all_deaths() {
  return {{.name = "trap", .order = "die trap", .by_hang = false},
          {.name = "null call", .order = "die null", .by_hang = false},
          {.name = "wild jump", .order = "die jump", .by_hang = false},
          {.name = "stack overflow", .order = "die overflow", .by_hang = false},
          {.name = "hang", .order = "die hang", .by_hang = true}};
}

Result<KillOutcome> kill_test(const Xen& xen, const Image& image, const BuiltDomain& built,
                              const KillPlan& plan,
                              const std::function<void(std::size_t)>& progress) {
  auto watch = Watch::open(xen, image, built, false);
  if (!watch) return std::unexpected(watch.error());
  auto reboot = Microreboot::prepare(xen, image, built);
  if (!reboot) return std::unexpected(reboot.error());

  KillTest test(xen, built, plan, *watch, *reboot);
  if (const auto ready = test.begin(); !ready) return std::unexpected(ready.error());
  KillOutcome outcome;
  for (std::size_t number = 0; number < plan.rounds; ++number) {
    const auto record = test.round(number);
    if (!record) {
      outcome.failure = fmt::format("round {}: {}", number + 1, record.error().text());
      break;
    }
    outcome.kills.push_back(*record);
    progress(number + 1);
  }
  return outcome;
}

}  // namespace ppvmm::root

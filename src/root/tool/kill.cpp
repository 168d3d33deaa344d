// kill-test.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "root/kill_test.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {
namespace {

using nlohmann::ordered_json;

Result<std::vector<Death>> chosen(const std::vector<std::string>& names) {
  if (names.empty()) return all_deaths();
  std::vector<Death> deaths;
  for (const std::string& name : names) {
    const auto all = all_deaths();
    const auto found = std::ranges::find(all, name, &Death::name);
    if (found == all.end()) return refused("there is no death called \"" + name + "\"");
    deaths.push_back(*found);
  }
  return deaths;
}

/// Prints the table and returns it as records of the result format.
ordered_json report(const KillOutcome& outcome, const std::vector<Death>& deaths) {
  std::vector<std::vector<std::string>> rows;
  ordered_json records = ordered_json::array();
  const auto add = [&](std::string_view name, auto belongs) {
    std::vector<double> detect;
    std::vector<double> reentry;
    for (const KillRecord& kill : outcome.kills) {
      if (!belongs(kill)) continue;
      detect.push_back(to_ms(kill.detect_ns));
      reentry.push_back(to_ms(kill.reentry.total_ns));
    }
    if (detect.empty()) return;
    const Summary seen = summarise(detect);
    const Summary back = summarise(reentry);
    rows.push_back({std::string(name), std::to_string(back.n), ms_text(seen.mean),
                    ms_text(back.min), ms_text(back.mean), ms_text(back.p50), ms_text(back.p95),
                    ms_text(back.p99)});
    records.push_back(record("ppvmm", fmt::format("detection, {}", name), "ms", seen));
    records.push_back(record("ppvmm", fmt::format("re-entry, {}", name), "ms", back));
  };
  for (const Death& death : deaths) {
    add(death.name, [&](const KillRecord& kill) { return kill.death == death.name; });
  }
  add("all", [](const KillRecord&) { return true; });
  print_table({"death", "kills", "seen ms", "back min", "mean", "p50", "p95", "p99"}, rows);
  return records;
}

ordered_json samples_of(const KillOutcome& outcome) {
  ordered_json samples = ordered_json::array();
  for (const KillRecord& kill : outcome.kills) {
    samples.push_back({{"round", kill.round + 1},
                       {"death", kill.death},
                       {"detect_ms", to_ms(kill.detect_ns)},
                       {"reentry_ms", to_ms(kill.reentry.total_ns)},
                       {"pause_ms", to_ms(kill.reentry.pause_ns)},
                       {"restore_ms", to_ms(kill.reentry.restore_ns)},
                       {"enter_ms", to_ms(kill.reentry.enter_ns)},
                       {"ready_ms", to_ms(kill.reentry.ready_ns)},
                       {"restored_pages", kill.reentry.restored.pages},
                       {"damaged_pages", kill.reentry.restored.damaged}});
  }
  return samples;
}

}  // namespace

int kill_test(const Common& common, const KillTestOptions& options) {
  const auto deaths = chosen(options.deaths);
  if (!deaths) return complain(deaths.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const auto built = create_and_build(
      *xen, *image,
      {.domid = {}, .memory_mib = options.memory_mib, .cmdline = {}, .xenstore = false});
  if (!built) return complain(built.error());
  if (const auto on = xen->unpause(built->domid); !on) return complain(on.error());

  constexpr std::size_t kReportEvery = 100;
  const auto outcome = root::kill_test(
      *xen, *image, *built, {.rounds = options.rounds, .deaths = *deaths, .limit = common.limit()},
      [](std::size_t done) {
        if (done % kReportEvery == 0) fmt::print(stderr, "{} kills, all re-entered\n", done);
      });
  if (const auto gone = xen->destroy(built->domid); !gone) return complain(gone.error());
  if (!outcome) return complain(outcome.error());

  const ordered_json records = report(*outcome, *deaths);
  const bool ok = outcome->failure.empty() && outcome->kills.size() == options.rounds;
  fmt::print("{} of {} kills re-entered in place with all survivors intact\n",
             outcome->kills.size(), options.rounds);
  if (!ok) static_cast<void>(complain({outcome->failure}));
  const int written = write_json(common, {{"ok", ok},
                                          {"rounds", options.rounds},
                                          {"reentered", outcome->kills.size()},
                                          {"failure", outcome->failure},
                                          {"records", records},
                                          {"samples", samples_of(*outcome)}});
  return ok ? written : kWrong;
}

}  // namespace ppvmm::root::tool

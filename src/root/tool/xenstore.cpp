// xenstore start.
#include <fmt/format.h>

#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"
#include "root/xenstore_domain.hpp"

namespace ppvmm::root::tool {

namespace {

/// Remembers the members, the backups first: who finds the primary finds its set.
Result<void> remember(const Common& common, const XenstoreOptions& options, const Image& image,
                      const XenstoreStart& started, ConsoleKeeper keeper) {
  Record common_part;
  common_part.image_path = options.image;
  common_part.image_hash = image.hash();
  common_part.console = keeper == ConsoleKeeper::root;
  for (std::uint32_t i = 0; i < started.backups.size(); ++i) {
    Record backup = common_part;
    backup.name = backup_name(options.name, i);
    backup.spec = started.backups[i].spec;
    backup.built = started.backups[i].built;
    backup.place = {.role = SetRole::backup, .set = options.name, .index = i, .attached = true};
    if (auto saved = common.registry().save(backup); !saved) return saved;
  }
  Record primary = common_part;
  primary.name = options.name;
  primary.spec = started.spec;
  primary.built = started.built;
  if (!started.backups.empty())
    primary.place = {.role = SetRole::primary, .set = options.name, .index = 0, .attached = true};
  return common.registry().save(primary);
}

}  // namespace

int xenstore_start(const Common& common, const XenstoreOptions& options) {
  if (options.replicas != 1 && options.replicas != 3) {
    return complain({"a XenStore has 1 replica or 3, not " + std::to_string(options.replicas)});
  }
  const bool by_root = options.console.empty() ? options.replicas > 1 : options.console == "root";
  const auto keeper = by_root ? ConsoleKeeper::root : ConsoleKeeper::xenconsoled;
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const XenstorePlan plan{.spec = {.domid = options.domid,
                                   .memory_mib = options.memory_mib,
                                   .cmdline = options.cmdline,
                                   .xenstore = true},
                          .backups = options.replicas - 1,
                          .backup_memory_mib = options.backup_memory_mib};
  const auto started = start_xenstore(*xen, *image, plan, common.limit());
  if (!started) return complain(started.error());
  if (const auto saved = remember(common, options, *image, *started, keeper); !saved) {
    return complain(saved.error());
  }
  if (const auto told = publish_xenstore(*started, options.name, keeper); !told) {
    return complain(told.error());
  }
  nlohmann::ordered_json backups = nlohmann::ordered_json::array();
  std::string text;
  for (const XenstoreBackup& backup : started->backups) {
    text += fmt::format("{}{}", text.empty() ? ", with backups in domains " : " and ",
                        backup.built.domid);
    backups.push_back({{"domid", backup.built.domid},
                       {"build_ms", to_ms(backup.built.build_ns)},
                       {"ready_ms", to_ms(backup.ready_ns)}});
  }
  fmt::print(
      "{}: domain {} is this host's XenStore{}; built in {} ms, ready {} ms and first answer "
      "{} ms after unpause\n",
      options.name, started->built.domid, text, ms_text(to_ms(started->built.build_ns)),
      ms_text(to_ms(started->ready_ns)), ms_text(to_ms(started->answered_ns)));
  return write_json(common, {{"name", options.name},
                             {"domid", started->built.domid},
                             {"build_ms", to_ms(started->built.build_ns)},
                             {"ready_ms", to_ms(started->ready_ns)},
                             {"answered_ms", to_ms(started->answered_ns)},
                             {"backups", backups}});
}

}  // namespace ppvmm::root::tool

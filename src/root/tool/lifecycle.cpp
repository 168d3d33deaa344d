// start, stop, microreboot, rebuild.
#include <fmt/format.h>

#include "root/daemon/control.hpp"
#include "root/microreboot.hpp"
#include "root/rebuild.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/net.hpp"
#include "root/tool/output.hpp"
#include "root/watch.hpp"

namespace ppvmm::root::tool {
namespace {

/// The image as it was when the unikernel was built from it: a changed file must not be put into a
/// running domain.
Result<Image> image_of(const Record& record) {
  auto image = Image::load(record.image_path);
  if (image && image->hash() != record.image_hash) {
    return refused(record.image_path + " is not the file that \"" + record.name +
                   "\" was built from");
  }
  return image;
}

Result<BuiltDomain> start_and_wait(const Xen& xen, const Image& image, const DomainSpec& spec,
                                   const Common& common, std::uint64_t& ready_ns) {
  auto built = create_and_build(xen, image, spec);
  if (!built) return built;
  const auto ready = run_until_ready(xen, image, *built, common);
  if (!ready) return std::unexpected(ready.error());
  ready_ns = *ready;
  return built;
}

}  // namespace

Result<std::uint64_t> run_until_ready(const Xen& xen, const Image& image, const BuiltDomain& built,
                                      const Common& common) {
  auto watch = Watch::open(xen, image, built, false);
  if (!watch) return std::unexpected(watch.error());
  const std::uint64_t begin = now_ns();
  if (const auto on = xen.unpause(built.domid); !on) return std::unexpected(on.error());
  if (const auto on =
          wait_ready(xen, built.domid, watch->vitals(), 0, watch->events(), common.limit());
      !on) {
    return std::unexpected(on.error());
  }
  return now_ns() - begin;
}

int start(const Common& common, const StartOptions& options) {
  if (!valid_name(options.name)) return complain({"\"" + options.name + "\" is no usable name"});
  if (const auto known = common.registry().load(options.name)) {
    return complain({fmt::format("\"{}\" is domain {} already; stop it first", options.name,
                                 known->built.domid)});
  }
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const DomainSpec spec{.domid = options.domid,
                        .memory_mib = options.memory_mib,
                        .cmdline = options.cmdline,
                        .xenstore = false};
  std::uint64_t ready_ns = 0;
  const auto built = start_and_wait(*xen, *image, spec, common, ready_ns);
  if (!built) return complain(built.error());
  Record record{.name = options.name,
                .image_path = options.image,
                .image_hash = image->hash(),
                .spec = spec,
                .built = *built};
  if (const auto saved = common.registry().save(record); !saved) return complain(saved.error());
  fmt::print("{}: domain {}, built in {} ms, ready {} ms after unpause\n", options.name,
             built->domid, ms_text(to_ms(built->build_ns)), ms_text(to_ms(ready_ns)));
  return write_json(common, {{"name", options.name},
                             {"domid", built->domid},
                             {"build_ms", to_ms(built->build_ns)},
                             {"ready_ms", to_ms(ready_ns)}});
}

int stop(const Common& common, const std::string& name) {
  const auto record = common.registry().load(name);
  if (!record) return complain(record.error());
  if (record->place.role != SetRole::none) {
    return complain({fmt::format("\"{}\" is a replica of \"{}\": the host cannot do without", name,
                                 record->place.set)});
  }
  // A daemon would take the end for a fault, and its mappings keep the domain's id taken.
  if (daemon::daemon_runs(common.state_dir)) {
    const auto released = daemon::ask(common.state_dir, {{"op", "release"}, {"unit", name}});
    if (!released) return complain(released.error());
  }
  if (record->spec.bus) {
    if (const auto ended = net_end(common, *record); !ended) return complain(ended.error());
    common.registry().remove(name);
    return kDone;
  }
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  if (const auto gone = destroy_and_wait(*xen, record->built.domid, common.limit()); !gone) {
    return complain(gone.error());
  }
  common.registry().remove(name);
  return kDone;
}

namespace {

/// Microreboots through a running daemon: it holds the mappings and the supervisor port.
int microreboot_supervised(const Common& common, const std::string& name, std::size_t times) {
  std::vector<double> totals;
  for (std::size_t i = 0; i < times; ++i) {
    const auto done = repair_by_daemon(common, name, "microreboot");
    if (!done) return complain(done.error());
    totals.push_back(to_ms(done->at("repaired_ns").get<std::uint64_t>() -
                           done->at("seen_ns").get<std::uint64_t>()));
  }
  const Summary summary = summarise(totals);
  fmt::print("{} microreboots by the daemon: mean {} ms, p99 {} ms\n", times, ms_text(summary.mean),
             ms_text(summary.p99));
  return write_json(common,
                    {{"name", name}, {"records", {record("ppvmm", "microreboot", "ms", summary)}}});
}

int rebuild_supervised(const Common& common, const std::string& name) {
  const auto done = repair_by_daemon(common, name, "rebuild");
  if (!done) return complain(done.error());
  const double total = to_ms(done->at("repaired_ns").get<std::uint64_t>() -
                             done->at("seen_ns").get<std::uint64_t>());
  fmt::print("{} was rebuilt by the daemon in {} ms\n", name, ms_text(total));
  return write_json(common, {{"name", name}, {"total_ms", total}});
}

}  // namespace

int microreboot(const Common& common, const std::string& name, std::size_t times) {
  if (daemon::daemon_runs(common.state_dir)) return microreboot_supervised(common, name, times);
  const auto record_of = common.registry().load(name);
  if (!record_of) return complain(record_of.error());
  const auto image = image_of(*record_of);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  auto watch = Watch::open(*xen, *image, record_of->built, false);
  if (!watch) return complain(watch.error());
  auto reboot = Microreboot::prepare(*xen, *image, record_of->built);
  if (!reboot) return complain(reboot.error());

  std::vector<double> totals;
  MicrorebootReport last;
  for (std::size_t i = 0; i < times; ++i) {
    const auto done = reboot->run(abi::FaultKind::none, watch->vitals(), watch->events(),
                                  watch->link(), common.limit());
    if (!done) return complain(done.error());
    last = *done;
    totals.push_back(to_ms(done->total_ns));
  }
  const Summary summary = summarise(totals);
  print_table({"step of the last one", "ms"}, {{"pause", ms_text(to_ms(last.pause_ns))},
                                               {"restore", ms_text(to_ms(last.restore_ns))},
                                               {"enter", ms_text(to_ms(last.enter_ns))},
                                               {"ready", ms_text(to_ms(last.ready_ns))},
                                               {"total", ms_text(to_ms(last.total_ns))}});
  fmt::print(
      "{} microreboots: mean {} ms, p99 {} ms; the last one restored {} pages, {} of them "
      "of code or constants\n",
      times, ms_text(summary.mean), ms_text(summary.p99), last.restored.pages,
      last.restored.damaged);
  return write_json(common, {{"name", name},
                             {"restored_pages", last.restored.pages},
                             {"damaged_pages", last.restored.damaged},
                             {"records", {record("ppvmm", "microreboot", "ms", summary)}}});
}

int rebuild(const Common& common, const std::string& name) {
  if (daemon::daemon_runs(common.state_dir)) return rebuild_supervised(common, name);
  auto record_of = common.registry().load(name);
  if (!record_of) return complain(record_of.error());
  if (record_of->place.role == SetRole::backup) {
    return complain(
        {"a backup is rebuilt by ppvmm-root, which first makes its primary let go of it"});
  }
  if (record_of->spec.bus) {
    return complain({"a driver domain is rebuilt by ppvmm-root, which also makes pciback let go"});
  }
  if (record_of->adopted) {
    return complain({"\"" + name + "\" was created by xl, and only xl can create it again"});
  }
  const auto image = image_of(*record_of);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto done = root::rebuild(*xen, *image, spec_of_rebuild(*record_of), common.limit());
  if (!done) return complain(done.error());
  record_of->built = done->built;
  ++record_of->rebuilds;
  if (const auto saved = common.registry().save(*record_of); !saved) {
    return complain(saved.error());
  }
  print_table({"step", "ms"}, {{"destroy", ms_text(to_ms(done->times.destroy))},
                               {"build", ms_text(to_ms(done->times.build))},
                               {"ready", ms_text(to_ms(done->times.ready))},
                               {"total", ms_text(to_ms(done->times.total))}});
  return write_json(common, {{"name", name},
                             {"domid", done->built.domid},
                             {"destroy_ms", to_ms(done->times.destroy)},
                             {"build_ms", to_ms(done->times.build)},
                             {"ready_ms", to_ms(done->times.ready)},
                             {"total_ms", to_ms(done->times.total)}});
}

}  // namespace ppvmm::root::tool

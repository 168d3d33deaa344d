// xenstore start.
#include <fmt/format.h>

#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"
#include "root/xenstore_domain.hpp"

namespace ppvmm::root::tool {

int xenstore_start(const Common& common, const XenstoreOptions& options) {
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const DomainSpec spec{.domid = options.domid,
                        .memory_mib = options.memory_mib,
                        .cmdline = options.cmdline,
                        .xenstore = true};
  const auto started = start_xenstore(*xen, *image, spec, common.limit());
  if (!started) return complain(started.error());
  const Record record{.name = options.name,
                      .image_path = options.image,
                      .image_hash = image->hash(),
                      .spec = started->spec,
                      .built = started->built};
  if (const auto saved = common.registry().save(record); !saved) return complain(saved.error());
  if (const auto told = publish_xenstore(*started, options.name, options.memory_mib); !told) {
    return complain(told.error());
  }
  fmt::print(
      "{}: domain {} is this host's XenStore; built in {} ms, ready {} ms and first answer "
      "{} ms after unpause\n",
      options.name, started->built.domid, ms_text(to_ms(started->built.build_ns)),
      ms_text(to_ms(started->ready_ns)), ms_text(to_ms(started->answered_ns)));
  return write_json(common, {{"name", options.name},
                             {"domid", started->built.domid},
                             {"build_ms", to_ms(started->built.build_ns)},
                             {"ready_ms", to_ms(started->ready_ns)},
                             {"answered_ms", to_ms(started->answered_ns)}});
}

}  // namespace ppvmm::root::tool

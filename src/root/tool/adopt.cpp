// adopt: a unikernel that somebody else built.
#include "root/adopt.hpp"

#include <fmt/format.h>

#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {

int adopt(const Common& common, const AdoptOptions& options) {
  if (!valid_name(options.name)) return complain({"\"" + options.name + "\" is no usable name"});
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const auto built = adopt_domain(*xen, *image, options.domid);
  if (!built) return complain(built.error());
  Record record{.name = options.name,
                .image_path = options.image,
                .image_hash = image->hash(),
                .spec = {.domid = options.domid, .memory_mib = 0, .cmdline = {}, .xenstore = false},
                .built = *built};
  record.adopted = true;
  if (const auto saved = common.registry().save(record); !saved) return complain(saved.error());
  fmt::print("{}: domain {} adopted in {} ms\n", options.name, built->domid,
             ms_text(to_ms(built->build_ns)));
  return write_json(
      common,
      {{"name", options.name}, {"domid", built->domid}, {"adopt_ms", to_ms(built->build_ns)}});
}

}  // namespace ppvmm::root::tool

// rate: how fast a unikernel works, over time.
#include <fmt/format.h>

#include "root/progress_meter.hpp"
#include "root/tool/commands.hpp"
#include "root/tool/output.hpp"

namespace ppvmm::root::tool {

int rate(const Common& common, const std::string& name, std::uint32_t length_ms) {
  constexpr std::chrono::microseconds kPace{1000};
  const auto record = common.registry().load(name);
  if (!record) return complain(record.error());
  const auto image = Image::load(record->image_path);
  if (!image) return complain(image.error());
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  const auto view = VitalsView::map(*xen, *image, record->built);
  if (!view) return complain(view.error());
  const auto samples = sample_progress(*view, std::chrono::milliseconds(length_ms), kPace);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ProgressSample& each : samples)
    list.push_back({each.at_ns, each.count});
  if (common.json != "-") {
    fmt::print("{}: {} pieces of work in {} ms\n", name, samples.back().count, length_ms);
  }
  return write_json(common, {{"name", name}, {"samples", list}});
}

}  // namespace ppvmm::root::tool

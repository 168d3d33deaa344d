/// Doing faults from outside, for `ppvmm inject` and `ppvmm drill`.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "root/image.hpp"
#include "root/registry.hpp"
#include "root/tool/commands.hpp"
#include "root/xen.hpp"

namespace ppvmm::root::tool {

/// What was done; also of a combination whose later part could not be done.
struct Injected {
  nlohmann::ordered_json injections = nlohmann::ordered_json::array();
  std::vector<std::string> lines;  ///< The same for people.
  std::optional<Failure> problem;  ///< Why no more was done.
};

/// Does what `options` says to the unikernel of `record`, made from `image`, and tells the daemon.
/// Fails when the options are wrong: then nothing was done.
[[nodiscard]] Result<Injected> do_faults(const Common& common, const InjectOptions& options,
                                         const Xen& xen, const Record& record, const Image& image);

}  // namespace ppvmm::root::tool

/// What the daemon and the child that does its errands say to each other, a line each.
#pragma once

#include <string_view>

namespace ppvmm::root {

/// The child's answer when an errand is done.
inline constexpr std::string_view kErrandDone = "done";
/// Its answer begins so when it is not; why follows. Other lines are of the libraries it uses.
inline constexpr std::string_view kErrandFailed = "failed: ";

}  // namespace ppvmm::root

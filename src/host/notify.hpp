/// Tells the service manager how the daemon is (the sd_notify protocol: one datagram of
/// NAME=VALUE lines to the socket that $NOTIFY_SOCKET names; see sd_notify(3)).
#pragma once

#include <string_view>

namespace ppvmm::host {

/// Sends `state`, for example "READY=1". Nobody listening is not an error.
void notify_service_manager(std::string_view state);

}  // namespace ppvmm::host

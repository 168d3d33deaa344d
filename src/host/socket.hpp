/// The listening socket.
#pragma once

#include <filesystem>

#include "host/fd.hpp"

namespace ppvmm::host {

/// Where clients look for the server: $XENSTORED_PATH, else $XENSTORED_RUNDIR/socket, else
/// /var/run/xenstored/socket. The same rules as libxenstore's.
[[nodiscard]] std::filesystem::path default_socket_path();

/// A bound, listening, non-blocking Unix stream socket that only its owner may open (0600), in a
/// directory that is made if need be. A socket file that nobody answers on is replaced; a server
/// that answers is left alone and std::system_error (address in use) is thrown.
[[nodiscard]] Fd listen_on(const std::filesystem::path& path);

}  // namespace ppvmm::host

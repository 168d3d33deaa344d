/// Starts and ends the real daemons: Debian's unmodified xenstored and oxenstored, with
/// libfakexen.so preloaded in place of the hypervisor's libraries.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "peers/fake_host.hpp"

namespace ppvmm::peers {

enum class PeerKind : std::uint8_t { xenstored, oxenstored };

[[nodiscard]] std::string_view name_of(PeerKind kind);

/// Where the binaries are. The default is the installed package xen-utils-4.17 (any version is
/// taken); `root` names a directory into which the packages were extracted (dpkg-deb -x).
struct PeerFiles {
  std::filesystem::path root{"/"};
};

/// Per-domain limits, set by each daemon's own means (options of xenstored, oxenstored.conf).
struct PeerLimits {
  std::optional<std::uint32_t> nodes;
  std::optional<std::uint32_t> watches;
  std::optional<std::uint32_t> transactions;
  std::optional<std::uint32_t> node_size;
  std::optional<std::uint32_t> path_length;
};

/// The daemon's binary, or nothing if it is not installed.
[[nodiscard]] std::optional<std::filesystem::path> find_peer(PeerKind kind, const PeerFiles& files);

class Peer {
 public:
  /// Starts the daemon and returns when clients can connect to `socket`. It runs in the
  /// foreground with its output in `<host directory>/log`, and ends when this process ends.
  /// Throws std::runtime_error with the daemon's own words if it does not come up.
  Peer(PeerKind kind, const FakeHost& host, const std::filesystem::path& socket,
       const PeerLimits& limits, const PeerFiles& files);
  /// Kills the daemon.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Nothing while it runs; else how it ended ("signal 6", "exit status 1").
  [[nodiscard]] std::optional<std::string> ended();
  /// What the daemon wrote so far.
  [[nodiscard]] std::string output() const;

 private:
  std::filesystem::path log_;
  pid_t pid_{-1};
  std::optional<std::string> ended_;
};

}  // namespace ppvmm::peers

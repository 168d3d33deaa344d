/// Feeds the store machine from a listening socket: one thread, one transport, no blocking calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "host/fd.hpp"
#include "host/transport.hpp"
#include "store/machine.hpp"

namespace ppvmm::host {

/// Why Server::run() came back.
enum class Wake { stop, reopen_log, dump };

/// A XenStore server for the clients of one socket.
///
/// Every client gets one turn per round: as much as one read gives is handed to the machine, and
/// what the machine answers goes out in that round. A client that does not read its answers keeps
/// only itself waiting. Between rounds the shell does not allocate, except to hold input that the
/// machine does not take yet.
class Server final : private TransportEvents {
 public:
  /// Takes over the machine and the listening socket. Signals SIGTERM, SIGINT, SIGHUP and SIGUSR1
  /// are blocked for the process and read by run(). Throws std::system_error.
  Server(store::Machine machine, Fd listener, std::size_t max_connections, Io io);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until a signal wants something of the caller; may be called again to go on.
  /// The first call makes the transport, so it comes after any fork. Throws std::system_error when
  /// there is none, or when it fails.
  [[nodiscard]] Wake run();

  [[nodiscard]] const store::Machine& machine() const { return machine_; }

 private:
  struct Client;

  void woke() override;
  void received(Link& link, std::span<const std::byte> bytes) override;
  void writable(Link& link) override;
  void gone(Link& link) override;
  void readable(int fd) override;

  void start();
  void accept_clients();
  void refuse_client();
  void feed(Client& client, std::span<const std::byte> bytes);
  void feed_held(Client& client);
  void flush(Client& client);
  void close(Client& client);
  void serve_ready();
  void settle();
  [[nodiscard]] std::uint64_t now_ms() const;
  [[nodiscard]] int timeout_ms() const;

  store::Machine machine_;
  Fd listener_;
  Fd signals_;
  Fd spare_;  ///< Given up for a moment to refuse a client when descriptors have run out.
  std::size_t max_connections_;
  Io io_;
  std::unique_ptr<Transport> transport_;
  std::optional<Wake> wake_;
  std::uint64_t refused_{};
  std::uint64_t time_before_ms_;  ///< The machine's time when the host's clock was zero.
  std::unordered_map<store::ConnId, std::unique_ptr<Client>> clients_;
  std::span<const store::ConnId> ready_;         ///< Left over for the next round.
  std::vector<std::unique_ptr<Client>> closed_;  ///< Freed at the end of the round.
};

}  // namespace ppvmm::host

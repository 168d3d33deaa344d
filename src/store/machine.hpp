/// The XenStore server as a pure, deterministic state machine.
///
/// Events go in (bytes of a connection, a domain came or went, time passed); bytes per connection,
/// effects and log records come out. The machine does no I/O, reads no clock, starts no thread and
/// has no globals: the same events in the same order give the same outputs, bit for bit. That is
/// what replication, replay, simulation and fuzzing stand on. Shells (src/uk/xenstore, src/host,
/// tests/simulation) feed it.
///
/// Spec: Xen docs/misc/xenstore.txt, xenstore-ring.txt; public header io/xs_wire.h. Our choices
/// where the spec is silent: docs/xenstore-protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/heartbeat.hpp"
#include "store/quota.hpp"
#include "store/types.hpp"

namespace ppvmm::store {

/// The machine's inside (store/state.hpp), for the files that make up the machine.
struct State;

/// What the machine asks of its shell. The shell takes effects after every event, in order, and
/// carries them out.
struct Effect {
  enum class Kind : std::uint8_t {
    /// A privileged client introduced `domid`: map its ring page (grant GNTTAB_RESERVED_XENSTORE,
    /// or `gfn`),
    /// bind `port`, then report with Machine::introduced(). The client's answer waits for that
    /// report.
    attach_domain,
    /// `domid` was released, died, or is introduced again: unmap its ring, close its port. Its
    /// ConnId is dead.
    detach_domain,
    /// The domain's connection was reset (xenstore-ring.txt, "Connection state"): the shell clears
    /// both rings'
    /// indexes if the guest asked for reconnection.
    reset_ring,
  };
  Kind kind{};
  DomId domid{};
  std::uint64_t gfn{};  ///< attach_domain only: guest frame of the ring page as the client gave it.
  std::uint32_t port{};  ///< attach_domain only: the domain's event channel port.
};

/// One line for the log, with no time stamp: the shell adds it.
struct LogRecord {
  enum class Level : std::uint8_t { debug, info, warning, error };
  Level level{};
  std::string text;
};

/// How the shell says that an attach_domain effect went.
enum class IntroduceResult : std::uint8_t { attached, bad_ring, bad_port };

struct Options {
  Quotas quotas;  ///< Initial limits; CONTROL quota changes them later.
  std::uint64_t
      memory_limit{};  ///< Bytes the whole machine may use; 0: no limit. Refusals answer ENOSPC.
  std::string version{"ppvmm"};  ///< Text in CONTROL answers.
  Heartbeat heartbeat;           ///< Of work that takes long.
};

class Machine {
 public:
  explicit Machine(Options options);
  ~Machine();
  Machine(Machine&&) noexcept;
  Machine& operator=(Machine&&) noexcept;

  // --- Connections
  // -------------------------------------------------------------------------------------------

  /// A client on a local socket. It speaks for domain 0 and is privileged.
  ConnId connect_socket();
  /// The connection of a domain whose ring the shell has already mapped, without an INTRODUCE: dom0
  /// at start-up.
  ConnId connect_domain(DomId domid, std::uint64_t gfn, std::uint32_t port);
  /// A socket was closed by its client. Its transactions and watches go. Unknown ids are ignored.
  void disconnect(ConnId conn);
  /// The domain's connection, if it is introduced.
  [[nodiscard]] std::optional<ConnId> connection_of(DomId domid) const;
  /// Domains introduced now, ascending.
  [[nodiscard]] std::vector<DomId> domains() const;
  /// Domains that are introduced, own nodes or are named in permissions, ascending. The toolstack
  /// writes a domain's nodes before it introduces it, so these are the ones whose death the shell
  /// must watch for and report with domain_dead().
  [[nodiscard]] std::vector<DomId> known_domains() const;

  // --- Bytes
  // -------------------------------------------------------------------------------------------------

  /// Bytes from a client. Returns how many were consumed: fewer than given when the connection must
  /// first drain its answers or acknowledge events (limits in Quotas), zero for a dead connection.
  /// Offer the rest again after sent(), advance() or introduced().
  std::size_t receive(ConnId conn, std::span<const std::byte> bytes);
  /// Bytes waiting for the client, oldest first; valid until the next call that is not const.
  [[nodiscard]] std::span<const std::byte> to_send(ConnId conn) const;
  /// The first `count` bytes of to_send() have reached the client's ring or socket.
  void sent(ConnId conn, std::size_t count);
  /// The client broke the protocol beyond repair (for example a payload above
  /// XENSTORE_PAYLOAD_MAX): it is ignored from now on. A socket shell closes it, a ring shell
  /// reports XENSTORE_ERROR_* in the ring page.
  [[nodiscard]] bool broken(ConnId conn) const;
  /// The shell found the transport beyond use (ring indexes that cannot be): the connection becomes
  /// broken, and its watches, transactions and buffers go, as if the client had broken the
  /// protocol.
  void fail(ConnId conn);
  /// Connections that got new bytes to send, became broken or may be offered input again since the
  /// last call, each once. Valid until the next call of take_ready().
  [[nodiscard]] std::span<const ConnId> take_ready();

  // --- Facts from the hypervisor
  // -----------------------------------------------------------------------------

  /// The shell's answer to an attach_domain effect.
  void introduced(DomId domid, IntroduceResult result);
  /// The domain has shut down (any reason) but still exists: @releaseDomain fires, once until
  /// RESUME.
  void domain_shutdown(DomId domid);
  /// The domain is gone: its connection, nodes, watches and quota counts go, @releaseDomain fires.
  void domain_dead(DomId domid);
  /// The supervisor's word that the domain dies and is built again under its own domid (design: a
  /// component's rebirth). Its connection ends as in domain_dead(), but its nodes and the rights
  /// given to it stay, and @releaseDomain stays silent.
  void domain_reborn(DomId domid);
  /// What was under way on the domain's connection is lost: a half received request, answers that
  /// have not left, open transactions. Its watches stay. For a state that is older than the ring.
  void restart_streams(DomId domid);
  /// The guest asked for its connection to be reset (ring page, connection state RECONNECT).
  void reconnect(DomId domid);

  // --- Time
  // --------------------------------------------------------------------------------------------------

  /// Time has passed; `now_ms` never decreases. Drives expiry of unread events and throttling of
  /// conflicting writers.
  void advance(std::uint64_t now_ms);
  /// The time of the latest advance(). A shell that starts from a loaded state counts on from here.
  [[nodiscard]] std::uint64_t now_ms() const;
  /// When advance() must be called at the latest, or nothing when no timer runs.
  [[nodiscard]] std::optional<std::uint64_t> next_deadline_ms() const;

  // --- Outputs
  // -----------------------------------------------------------------------------------------------

  [[nodiscard]] std::vector<Effect> take_effects();
  [[nodiscard]] std::vector<LogRecord> take_log();

  // --- State hand-over (docs/designs/xenstore-migration.md, version 1)
  // -----------------------------------------

  /// The whole state as a migration stream (docs/xenstore-stream.md): nodes, connections with
  /// unread input and unsent output, watches, transactions. load(dump()) gives a machine whose
  /// dump() is the same bytes and which goes on as this one would. Effects, log records and the
  /// list of ready connections are the present shell's and not part of it: take them first.
  [[nodiscard]] std::vector<std::byte> dump() const;
  /// A machine from a stream. Hostile input is refused with a reason and never trusted for sizes.
  [[nodiscard]] static std::expected<Machine, StreamError> load(Options options,
                                                                std::span<const std::byte> stream);

  /// For a shell that starts from a loaded state: the domains whose rings it must map (it does not
  /// report introduced() for them), and the sockets of a shell that is gone, to be disconnected
  /// unless their descriptors were handed over. All connections are listed by take_ready().
  [[nodiscard]] std::vector<Effect> attached() const;
  [[nodiscard]] std::vector<ConnId> sockets() const;

  // --- Observation
  // -------------------------------------------------------------------------------------------

  [[nodiscard]] Statistics statistics() const;
  /// Nodes whose checksum was found wrong since the machine was made: by a request, which was
  /// answered with EIO, or by scrub(). A shell with replicas does not let that answer out.
  [[nodiscard]] std::uint64_t corruptions() const;
  /// Verifies the checksums of the next `nodes` nodes, round and round through the tree. False if
  /// one was wrong; it is counted and logged.
  [[nodiscard]] bool scrub(std::size_t nodes);
  /// Order-independent digest of all committed nodes (path, value, permissions): equal trees have
  /// equal digests.
  [[nodiscard]] std::uint64_t tree_digest() const;
  /// That of the options, for work on this machine that is done elsewhere.
  [[nodiscard]] Heartbeat heartbeat() const;

 private:
  explicit Machine(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace ppvmm::store

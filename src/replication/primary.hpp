/// The primary: the one of the three that guests talk to. It joins the machine to the rings, writes
/// every state-changing event into the members' logs before anything of it is visible, and can
/// die between any two stores.
///
/// A shell: maps rings, feeds facts and kicks, calls run() until it says `idle`, then carries out
/// take_effects() and sends an event to every domain in take_notifications(). It calls advance()
/// when time has passed, and maintain() when there is nothing better to do.
///
/// Spec: docs/replication.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "replication/event.hpp"
#include "replication/reconcile.hpp"
#include "replication/refill.hpp"
#include "replication/replica.hpp"
#include "replication/replica_set.hpp"
#include "replication/ring_port.hpp"
#include "replication/vote.hpp"

namespace ppvmm::replication {

struct PrimaryOptions {
  Geometry geometry;    ///< Of regions that this primary formats.
  std::uint64_t key{};  ///< The set's secret; after a recovery: that of the regions.
  /// A backup that keeps a full log full for so long is dropped.
  std::uint64_t stuck_after_ms{100};
  /// Are our own code and constants what was built? Asked before a domain is called broken; null:
  /// nobody can tell.
  bool (*whole)(){};
};

class Primary {
 public:
  enum class Run : std::uint8_t {
    idle,      ///< Nothing left to do.
    more,      ///< The budget is used up; call again.
    log_full,  ///< A backup must release log first; call again later.
    corrupt,   ///< See corrupt().
  };

  /// `state` and `set` from recover(), or an empty machine and an empty set on the host's first
  /// start. Seats without a ring wait for adopt().
  Primary(Restored state, ReplicaSet set, const PrimaryOptions& options);

  // --- Rings

  /// After a rebirth, once for every seat: the ring page of `domid`, which is mapped again. Finds
  /// out what has happened on it and goes on from there. False: no such seat.
  bool adopt(DomId domid, SharedMemory page);
  /// After adopt(), for a state that is known to be old: a ring that does not fit it goes on at its
  /// own indexes. What was under way on it is lost. False: the log is full, call again later.
  [[nodiscard]] bool go_on_at_ring(DomId domid);
  /// Takes every whole request that waits in a ring and answers none of them, ever: what a XenStore
  /// does that is begun anew and keeps no account of its clients' rings. For comparisons (root's
  /// policy `xoar`), after all rings were adopted. Returns how many were lost.
  std::uint64_t lose_requests();
  /// The domain's ring may have work. Unknown domains are ignored.
  void kick(DomId domid);
  /// kick() for every ring, now and then: a notification can get lost, and nobody sends another.
  void kick_all();
  /// After kick_all() and a run() that ended `idle`: was some ring passed over, or is its
  /// connection ignored without a reason that we know? Then what we keep about it is not what we
  /// wrote there, which nobody else would ever see: this incarnation must end.
  [[nodiscard]] bool neglects() const;
  /// The index up to which requests have left the domain's queue; nothing for unknown domains.
  [[nodiscard]] std::optional<std::uint32_t> consumed(DomId domid);
  /// Serves kicked domains in turn, one request each, `budget` requests in all.
  Run run(std::uint64_t budget);

  /// A node of our own tree is not what was stored, and a backup has it right. Nothing that came of
  /// it has been published or logged, and nothing will be: this incarnation must end, and the next
  /// one does the request again on a state from a backup. Holds after every call that executes
  /// something, and after scrub(). Without backups there is nothing better: clients get EIO.
  [[nodiscard]] bool corrupt() const {
    return (replica_.machine().corruptions() != 0 || doubt_) && set_.members() != 0;
  }
  /// A domain, most likely dom0's kernel, seems to have broken the protocol, where its stream of
  /// requests is at `at`. More likely it is we who cannot read any more, and to ignore dom0 from
  /// then on, on all replicas, would be the end of the host. So nothing has been logged, and
  /// corrupt() holds: the next life looks again. Of other domains it is believed at once, as they
  /// must not end our life at will, unless our own code is damaged (PrimaryOptions::whole).
  struct Doubt {
    DomId domid{};
    std::uint64_t at{};

    bool operator==(const Doubt&) const = default;
  };
  [[nodiscard]] std::optional<Doubt> doubt() const { return doubt_; }
  /// What the life before doubted. If we see it as well, it is so.
  void seen_before(const Doubt& doubt) { seen_before_ = doubt; }
  /// Verifies the next `nodes` nodes; for idle times.
  void scrub(std::size_t nodes) { static_cast<void>(machine().scrub(nodes)); }

  // --- Facts. False: the log is full or the state is corrupt, nothing has happened, tell me again
  // later.

  /// The first domain's ring, at the host's start. Ignored if it has a seat already.
  [[nodiscard]] bool connect(DomId domid, std::uint64_t gfn, std::uint32_t port, SharedMemory page);
  /// The answer to an attach_domain effect. `page` is used only if `result` is attached.
  [[nodiscard]] bool introduced(DomId domid, store::IntroduceResult result, SharedMemory page);
  [[nodiscard]] bool domain_shutdown(DomId domid);
  [[nodiscard]] bool domain_dead(DomId domid);
  [[nodiscard]] bool domain_reborn(DomId domid);

  /// Time has passed. Drops a stuck backup; logs a tick if one is due.
  [[nodiscard]] bool advance(std::uint64_t now_ms);

  // --- Backups

  /// Memory of a new or refilled backup: will be formatted and filled by maintain().
  void attach_region(std::size_t backup, SharedMemory memory);
  /// The backup's memory must not be used any more.
  void detach_region(std::size_t backup);
  /// Fills regions that are not members, about `bytes` bytes per call. True: there is more to do.
  bool maintain(std::uint64_t bytes);
  /// Compares the newest digests that both backups and we have. Index 0 is the primary, then the
  /// backups.
  [[nodiscard]] Vote compare() const;

  // --- Outputs

  /// attach_domain and detach_domain; reset_ring is carried out here.
  [[nodiscard]] std::vector<store::Effect> take_effects();
  [[nodiscard]] std::vector<DomId> take_notifications();
  [[nodiscard]] std::vector<Report> take_reports() { return set_.take_reports(); }

  [[nodiscard]] const Replica& replica() const { return replica_; }
  [[nodiscard]] store::Machine& machine() { return replica_.machine(); }
  [[nodiscard]] const LogTail& tail() const { return tail_; }
  [[nodiscard]] const ReplicaSet& set() const { return set_; }

 private:
  /// A mapped ring. What it shares with the ledger's seat is in the seat.
  struct Link {
    DomId domid{};
    store::ConnId conn{};
    RingPort ring;
    std::uint64_t out{};          ///< Answer bytes published.
    std::uint64_t logged{};       ///< Of these, logged ones.
    std::uint64_t serial{};       ///< The newest intent's.
    std::uint32_t unsettled{};    ///< Logged bytes published since the last record.
    std::uint64_t held_at{};      ///< Stream offset of the request that `held` is the beginning of.
    std::vector<std::byte> held;  ///< Has left the queue; means nothing unless the seat is there.
    std::uint32_t condemned{};    ///< XENSTORE_ERROR_* to fail it with, as soon as there is log.
    std::uint64_t round{};        ///< The newest kick_all() whose turn it had.
    bool queued{};
    bool notify{};
    bool given_up{};  ///< The connection is broken, and we were there when that happened.
  };
  enum class Turn : std::uint8_t { done, again, log_full };

  Link* link(DomId domid);
  Link& add_link(DomId domid, SharedMemory page);
  void forget_link(DomId domid);
  void begin(DomId domid, SharedMemory page);
  void enqueue(Link& link);

  Turn turn(Link& link);
  Turn fail(Link& link, const Seat& seat, std::uint32_t error);
  bool doubtful(const Link& link, const Seat& seat);
  Turn take_input(Link& link, Seat& seat);
  Turn take_read(Link& link, Seat& seat, Event& event);
  Turn take_logged(Link& link, Event& event);
  Turn hold(Link& link, const Seat& seat, std::uint32_t count);
  void find_held(Link& link, const Seat& seat);
  [[nodiscard]] static std::span<const std::byte> held(const Link& link, const Seat& seat);
  [[nodiscard]] static std::uint32_t consumed(const Link& link, const Seat& seat);
  [[nodiscard]] static std::optional<std::uint32_t> waiting(const Link& link, const Seat& seat);
  static void peek(const Link& link, const Seat& seat, std::size_t offset,
                   std::span<std::byte> out);
  void publish_logged(Link& link, Seat& seat);
  void publish(Link& link, Seat& seat, std::span<const std::byte> bytes, std::uint64_t in_count,
               std::uint64_t logged_count);
  void consume(Link& link, const Seat& seat);

  /// Executes and logs an event; nothing if the log is full, else the input bytes taken.
  std::optional<std::size_t> commit(Event event);
  bool commit_fact(Event::Kind kind, DomId domid);
  bool room_for(std::size_t input_bytes);
  /// Logs what must be in the log before the next event: a tick whose time has come, and
  /// settlements that one record cannot carry.
  void prepare_log(std::size_t unsettled_at_most);
  void log_tick(std::uint64_t now_ms);
  [[nodiscard]] std::size_t unsettled() const;
  void log(const Event& event);
  void after_event();

  Replica replica_;
  LogTail tail_;
  ReplicaSet set_;
  PrimaryOptions options_;
  std::vector<Link> links_;  // ascending by domid
  std::vector<DomId> queue_;
  std::optional<Doubt> doubt_;
  std::optional<Doubt> seen_before_;
  std::uint64_t round_{};  ///< Calls of kick_all().
  std::vector<Settlement> settlements_;
  std::vector<store::Effect> effects_;
  std::vector<std::byte> record_;
  std::vector<std::byte> input_;
  std::array<std::optional<Refill>, kBackups> refills_;
  std::array<std::pair<std::uint64_t, std::uint64_t>, kDigests> digests_{};
  std::uint64_t now_ms_;
  std::uint64_t logged_ms_;                        ///< The clock of the newest record.
  std::optional<std::uint64_t> blocked_since_ms_;  ///< Some backup has had no room since then ...
  std::uint64_t blocked_bytes_{};                  ///< ... for so much.
};

}  // namespace ppvmm::replication

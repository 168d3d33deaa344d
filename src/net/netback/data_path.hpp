/// Moves packets between guests' rings, the switch and the wire. Pure: the copying of granted
/// pages, the network card and the time are given to it, so the whole of it runs in host tests.
///
/// One pass (run()): look what the card has; read the guests' requests, bounded each; copy all
/// packets in at once; let the switch decide; copy all packets out at once; give the card its own;
/// answer. So a pass costs two copy hypercalls, however many guests take part. Of a packet from
/// guest to guest only the headers are copied in; the rest goes from page to page at once
/// (data_path_lent.cpp).
///
/// **Nothing is answered before it is done.** A guest's request is answered when the card has seen
/// its packet on the wire, or the receiving guest has it, or it was dropped for a counted reason. A
/// data path that is made anew over the same rings therefore sends again what its predecessor had
/// in its hands.
///
/// **Nobody waits for somebody else's fault.** A guest may keep as many buffers busy as are free
/// (dynamic threshold), so one alone never gets more than half; one that gives no buffers loses
/// what waits for it after kPatienceNs; one that breaks the protocol is reported and not served any
/// more.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "net/netback/coalesce.hpp"
#include "net/netback/grant_copy.hpp"
#include "net/netback/vif.hpp"
#include "net/shadow/shadow.hpp"

namespace ppvmm::net {

/// Who is to be told, once a pass is over.
struct Notification {
  PortId port{};
  std::uint8_t queue{};
  bool tx{};  ///< Of responses to what it sent.
  bool rx{};  ///< Of packets for it.
};

/// A vif that is not served any more.
struct Offence {
  PortId port{};
  Hostile reason{};
};

class DataPath final : public NicClient {
 public:
  struct Limits {
    std::uint32_t packets_per_turn{64};   ///< Read from one queue in one pass.
    std::uint32_t reserve{128};           ///< Buffers that guests leave to the card.
    std::uint32_t bad_grants{16};         ///< Refused grants of a vif before it is hostile.
    std::uint32_t idle_events{100'000};   ///< Of a vif in a row before it is hostile.
    std::uint32_t frames_from_wire{128};  ///< Received from the card in one pass.
    std::size_t shadow_frames{512};
    /// Generations of vifs begin behind this: what an earlier data path over the same rings left
    /// with the driver must not be taken for ours.
    std::uint16_t first_generation{};

    bool operator==(const Limits&) const = default;
  };
  /// How long a frame waits for a guest's buffers.
  static constexpr std::uint64_t kPatienceNs = 100'000'000;
  /// How long a link may be down before frames for it are dropped rather than held.
  static constexpr std::uint64_t kLinkPatienceNs = 2'000'000'000;

  struct Statistics {
    std::uint64_t passes{};
    std::uint64_t copies{};
    std::uint64_t lent{};       ///< Packets that went from guest to guest without our buffers.
    std::uint64_t fetched{};    ///< Packets that were lent and had to be copied in after all.
    std::uint64_t lent_lost{};  ///< Packets that were lent and dropped: no sender, or no buffers.
    std::uint64_t from_wire{};
    std::uint64_t to_wire{};
    std::uint64_t starved{};        ///< Times a guest had to wait for buffers.
    std::uint64_t flood_dropped{};  ///< Copies of flooded frames dropped for want of records.
    std::uint64_t
        storm_dropped{};     ///< Frames not flooded to vifs, for their sender did it too often.
    std::uint64_t parked{};  ///< Frames that waited with their guest for the shadow's room.
    std::uint64_t link_dropped{};  ///< Frames for the wire dropped while the link was down.
  };

  DataPath(BufferPool& pool, GrantCopier& copier, Limits limits);
  ~DataPath() = default;

  // --- Who takes part.

  /// Connects a guest's interface to a free port. `pages`: 1 to kQueuesMax; they must stay mapped
  /// until remove_vif(). Works the same for fresh rings and for those of an earlier incarnation.
  /// Nothing if no port is free, the address is another's, or (hostile) the rings are impossible.
  [[nodiscard]] std::optional<PortId> add_vif(VifSettings settings,
                                              std::span<const QueuePages> pages,
                                              std::uint64_t now_ns);
  void remove_vif(PortId port);
  [[nodiscard]] const Vif* vif(PortId port) const { return vifs_[port].get(); }
  /// Changes at run time: rate limit.
  void set_rate(PortId port, std::optional<RateLimit> rate, std::uint64_t now_ns);

  /// The card from now on; null: none at the moment, frames for it are held. The wire exists for
  /// the switch once there was a card.
  void set_nic(Nic* nic);
  /// There will be a card: what guests send to the wire is held for it from now on.
  void expect_wire();
  [[nodiscard]] const Shadow& shadow() const { return shadow_; }

  // --- Work.

  /// A guest notified one of its queues.
  void kick(PortId port, std::uint8_t queue);
  /// One pass. True if there is more to do at once.
  bool run(std::uint64_t now_ns);
  /// When run() is to be called even if nobody kicks; nothing if never.
  [[nodiscard]] std::optional<std::uint64_t> deadline(std::uint64_t now_ns) const;
  /// Everybody who is owed a notification, once: added to `owed`.
  void take_notifications(std::vector<Notification>& owed);
  void take_offences(std::vector<Offence>& offences);
  /// Frames that came and that no pass has looked at yet.
  [[nodiscard]] std::size_t waiting() const { return arrivals_.size(); }

  // --- The probe (audit.cpp).

  /// What is wrong with the data path itself.
  struct Audit {
    /// Nothing of it can be believed: it is to be made anew.
    std::optional<std::string_view> broken;
    /// Vifs whose state contradicts itself, their rings, or what others hold: to be added anew.
    std::vector<PortId> bad;
  };
  /// Looks at everything between two passes; `limits`: those that it was made with. Rings of which
  /// nothing came, though there was reason, in two looks in a row are bad as well. Costs a few
  /// thousand instructions.
  [[nodiscard]] Audit audit(const Limits& limits);

  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] const Coalescer::Statistics& coalesced() const { return coalescer_.statistics(); }
  [[nodiscard]] const Switch& bridge() const { return switch_; }
  [[nodiscard]] Shadow::Statistics shadow_statistics() const { return shadow_.statistics(); }

  // --- NicClient.
  void received(Frame frame) override;
  void sent(Frame frame) override;
  void room() override {}
  void link_changed(NicLink link) override;

 private:
  /// A packet whose bytes are being copied in.
  struct Incoming {
    PortId port{};
    std::uint8_t queue{};
    std::uint32_t first_copy{};
    std::uint32_t copies{};
    TxPacket packet;
    Frame frame;
  };
  /// Whose grant it was that Xen refused; nobody's, if that cannot be found out.
  enum class Blame : std::uint8_t { receiver, lender, nobody };
  /// A packet whose bytes are being copied out.
  struct Outgoing {
    PortId port{};
    std::uint8_t queue{};
    std::uint16_t slots{};
    std::uint32_t place{};  ///< Of its first buffer, RxRing::taken() before it.
    std::uint32_t first_copy{};
    std::uint32_t copies{};
    Frame frame;
    Blame blame{Blame::receiver};  ///< If a copy fails.
  };

  void read_guests();
  void read_queue(PortId port, Vif& vif, std::uint8_t index);
  [[nodiscard]] bool copy_in(PortId port, std::uint8_t queue, const TxPacket& packet);
  void finish_incoming();
  [[nodiscard]] Vif* lender_of(const Frame& frame) const;
  [[nodiscard]] bool fetch(Frame& frame);
  [[nodiscard]] bool fetch_headers(Frame& frame, PacketHeaders& headers);
  void learn_lending(std::uint64_t tag, const Decision& decision);
  [[nodiscard]] bool may_stay_lent(const Frame& frame, const Decision& decision) const;
  void copy_by_way(Outgoing& outgoing);
  void blame(const Outgoing& outgoing);
  void contradict(std::string_view what) { contradiction_ = what; }
  void refused(PortId port, Vif& vif);
  void route(Frame frame, PortId from);
  void flood(Frame frame, PortId from);
  void to_wire(Frame frame);
  void to_vif(Frame frame, PortId port);
  void deliver();
  void deliver_queue(PortId port, Vif& vif, std::uint8_t index);
  void copy_out(PortId port, Vif& vif, std::uint8_t queue, Frame frame);
  void finish_outgoing();
  void expire(Vif& vif, Queue& queue);
  void serve_wire();
  void answer();
  [[nodiscard]] bool still_work();
  void end(std::uint64_t tag, TxStatus status);
  void take_ended();
  void offend(PortId port, Vif& vif, Hostile reason);
  [[nodiscard]] bool wire_usable() const;
  [[nodiscard]] bool sound(const Vif& vif, const Queue& queue) const;
  [[nodiscard]] bool stands_still(Vif& vif, Queue& queue) const;

  BufferPool* pool_;
  GrantCopier* copier_;
  Limits limits_;
  Switch switch_;
  Shadow shadow_;
  Nic* nic_{};
  bool wire_exists_{};
  std::optional<std::uint64_t> link_down_since_;
  std::uint64_t now_ns_{};
  std::uint16_t generation_{};
  std::array<std::unique_ptr<Vif>, kPortsMax> vifs_;
  std::vector<PortId> ports_;  ///< Of vifs, in the order of their turns.
  std::vector<Frame> arrivals_;
  std::vector<Frame> joined_;
  Coalescer coalescer_;
  std::vector<GrantCopy> copies_;
  std::vector<Incoming> incoming_;
  std::vector<Outgoing> outgoing_;
  std::vector<Frame> adapted_;
  std::vector<Shadow::Ended> ended_;
  std::vector<Offence> offences_;
  std::optional<std::string_view> contradiction_;  ///< Met on the way: the next audit says so.
  Statistics statistics_;
};

}  // namespace ppvmm::net

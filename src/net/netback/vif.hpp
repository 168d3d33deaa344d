/// One guest interface as the data path has it: its rings, its backlog, what it may and can do.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "net/netback/offload.hpp"
#include "net/netback/rx_ring.hpp"
#include "net/netback/tx_ring.hpp"
#include "net/switch/switch.hpp"
#include "net/switch/token_bucket.hpp"

namespace ppvmm::net {

inline constexpr std::size_t kQueuesMax = 4;

/// What the tool stack and the front-end agreed on.
struct VifSettings {
  abi::DomId domid{};
  std::uint16_t handle{};
  MacAddress mac{};
  std::optional<RateLimit> rate;
  bool only_own{};                  ///< Anti-spoofing.
  std::vector<std::uint32_t> ipv4;  ///< With it: addresses it may use; none: any.
  bool scatter_gather{};            ///< It takes packets of several pages.
  Abilities abilities;              ///< What it takes undone.
  /// What an earlier incarnation left unanswered is answered as dropped, not carried out.
  bool lose_unanswered{};
};

/// Both rings of one queue, mapped.
struct QueuePages {
  std::byte* tx{};
  std::byte* rx{};
};

struct VifStatistics {
  std::uint64_t tx_packets{};  ///< From the guest.
  std::uint64_t tx_bytes{};
  std::uint64_t tx_errors{};      ///< Answered with an error.
  std::uint64_t tx_bad_grants{};  ///< Of them, because Xen refused a grant.
  std::uint64_t tx_unanswered{};  ///< Found unanswered at adoption: carried out again.
  std::uint64_t rx_packets{};     ///< To the guest.
  std::uint64_t rx_bytes{};
  std::uint64_t rx_bad_grants{};
  std::uint64_t rx_dropped_full{};     ///< Its backlog was full.
  std::uint64_t rx_dropped_expired{};  ///< It gave no buffers for too long.
  std::uint64_t rx_dropped_unfit{};    ///< It cannot take such a packet.
};

struct Queue {
  explicit Queue(QueuePages pages) : tx(pages.tx), rx(pages.rx) {}
  Queue(Queue&&) noexcept = default;

  /// A frame that waits for buffers of the guest.
  struct Waiting {
    Frame frame;
    std::uint64_t since_ns;
  };

  TxRing tx;
  RxRing rx;
  std::deque<Waiting> backlog;
  std::uint32_t backlog_buffers{};
  bool tx_work{true};  ///< Its TX ring is to be looked at.
  bool tx_owed{};      ///< It is to be notified of responses.
  bool rx_owed{};      ///< ... of packets.
  bool stalled{};      ///< It gave no buffers for too long: nothing is kept for it.
  bool lends{};        ///< What it sent last went to another guest: see data_path_lent.cpp.
  // As the last look found it (DataPath::audit()).
  std::uint32_t seen_read{};      ///< Requests that it had read.
  std::uint32_t seen_answered{};  ///< Requests that it had answered.
  unsigned still_looks{};         ///< Looks in a row in which neither moved, with work waiting.
};

/// Buffers that a frame keeps busy, at most.
[[nodiscard]] inline std::uint32_t buffers_of(const Frame& frame) {
  return static_cast<std::uint32_t>(frame.fragments().size());
}

/// What one guest may have flooded: 1000 frames a second, 100 at once. Each costs every other guest
/// a receive buffer, so one that floods without end would take them from who talks to them.
inline constexpr std::uint32_t kFloodCost = 1024;
inline constexpr RateLimit kFloodLimit{.bytes = std::uint64_t{100} * kFloodCost,
                                       .interval_us = 100'000};

struct Vif {
  VifSettings settings;
  std::uint16_t generation{};  ///< Tells frames of an earlier user of the port from ours.
  std::vector<Queue> queues;
  TokenBucket bucket;
  TokenBucket floods;           ///< In units of kFloodCost for a frame.
  std::vector<Frame> parked;    ///< Frames for the wire that its shadow had no room for.
  std::uint32_t idle_events{};  ///< Events in a row after which it had sent nothing.
  std::optional<Hostile> hostile;
  VifStatistics statistics;
};

}  // namespace ppvmm::net

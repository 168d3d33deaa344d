// Where a frame goes, and who waits for it there.
#include <algorithm>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"

namespace ppvmm::net {

void DataPath::route(Frame frame, PortId from) {
  std::array<std::byte, kHeaderBytes> copy;
  std::span<const std::byte> bytes = frame.bytes(frame.fragments().front());
  if (bytes.size() < copy.size() && bytes.size() < frame.length()) {
    bytes = {copy.data(), frame.copy_out(0, copy)};
  }
  if (from == kWire) {
    ++statistics_.from_wire;
    frame.tag() = 0;
  }
  const Decision decision = switch_.decide(bytes, from, now_ns_);
  if (from != kWire) learn_lending(frame.tag(), decision);
  if (frame.lent() && !may_stay_lent(frame, decision) && !fetch(frame)) return;
  switch (decision.verdict) {
    case Verdict::unicast:
      if (decision.port == kWire) {
        to_wire(std::move(frame));
      } else {
        to_vif(std::move(frame), decision.port);
      }
      return;
    case Verdict::flood:
      flood(std::move(frame), from);
      return;
    case Verdict::spoofed:
      end(frame.tag(), TxStatus::dropped);
      return;
    case Verdict::local:
    case Verdict::same:
    case Verdict::runt:
      end(frame.tag(), TxStatus::okay);
      return;
  }
}

void DataPath::flood(Frame frame, PortId from) {
  // The wire has it in any case: a station there may be silent and nevertheless wait for it.
  bool to_vifs = true;
  if (from != kWire) {
    TokenBucket& floods = vifs_[from]->floods;
    to_vifs = floods.open(now_ns_);
    if (to_vifs) {
      floods.spend(kFloodCost);
    } else {
      ++statistics_.storm_dropped;
    }
  }
  const Origin origin = origin_of(frame.tag());
  const auto share_for = [&](PortId port) -> Frame {
    if (port == from) return {};
    Frame copy = frame.share();
    if (!copy) {
      ++statistics_.flood_dropped;
      return {};
    }
    if (frame.tag() != 0) vifs_[origin.port]->queues[origin.queue].tx.hold(origin.first, 1);
    return copy;
  };
  if (wire_exists_) {
    if (Frame copy = share_for(kWire)) to_wire(std::move(copy));
  }
  if (to_vifs) {
    for (const PortId port : ports_) {
      if (Frame copy = share_for(port)) to_vif(std::move(copy), port);
    }
  }
  end(frame.tag(), TxStatus::okay);
}

void DataPath::to_wire(Frame frame) {
  if (!wire_usable()) {
    ++statistics_.link_dropped;
    end(frame.tag(), TxStatus::dropped);
    return;
  }
  ++statistics_.to_wire;
  if (nic_ != nullptr) {
    const NicFeatures features = nic_->features();
    const Abilities abilities{.checksum_v4 = features.checksum,
                              .checksum_v6 = features.checksum,
                              .gso_v4 = features.tso_v4,
                              .gso_v6 = features.tso_v6};
    adapted_.clear();
    switch (adapt(frame, abilities, *pool_, adapted_)) {
      case Adapted::as_is:
        adapted_.push_back(std::move(frame));
        break;
      case Adapted::replaced: {
        const Origin origin = origin_of(frame.tag());
        if (frame.tag() != 0 && adapted_.size() > 1) {
          vifs_[origin.port]->queues[origin.queue].tx.hold(
              origin.first, static_cast<std::uint16_t>(adapted_.size() - 1));
        }
        break;
      }
      case Adapted::no_memory:
      case Adapted::malformed:
        end(frame.tag(), TxStatus::dropped);
        return;
    }
  } else {
    adapted_.clear();
    adapted_.push_back(std::move(frame));
  }
  for (Frame& each : adapted_) {
    const Origin origin = origin_of(each.tag());
    const bool guests = each.tag() != 0;
    // Behind those of the same guest that wait already, else they would overtake them.
    if (guests && !vifs_[origin.port]->parked.empty()) {
      vifs_[origin.port]->parked.push_back(std::move(each));
    } else if (shadow_.room()) {
      (void)shadow_.entrust(std::move(each));
    } else if (guests) {
      ++statistics_.parked;
      vifs_[origin.port]->parked.push_back(std::move(each));
    }
  }
  adapted_.clear();
}

void DataPath::to_vif(Frame frame, PortId port) {
  Vif& vif = *vifs_[port];
  const std::uint64_t tag = frame.tag();
  const auto drop = [&](std::uint64_t& counter) {
    ++counter;
    end(tag, TxStatus::okay);
  };
  if (vif.hostile) return drop(vif.statistics.rx_dropped_unfit);
  std::size_t index = 0;
  if (vif.queues.size() > 1) {
    // One flow, one queue: its packets must not overtake each other.
    const PacketHeaders headers = headers_of(frame);
    std::array<std::byte, 40> key{};
    const std::size_t from = headers.network == Network::ipv4   ? headers.network_start + 12u
                             : headers.network == Network::ipv6 ? headers.network_start + 8u
                                                                : 0u;
    const std::size_t count = headers.network == Network::ipv4 ? 8 : 32;
    const std::size_t used = frame.copy_out(from, {key.data(), from == 0 ? 12 : count});
    if (headers.transport != Transport::other) {
      (void)frame.copy_out(headers.transport_start, {key.data() + used, 4});
    }
    index = folded(sum_of(key, 0)) % vif.queues.size();
  }
  Queue& queue = vif.queues[index];
  const std::uint32_t buffers = buffers_of(frame);
  if (queue.stalled) return drop(vif.statistics.rx_dropped_expired);
  if (queue.backlog_buffers + buffers > pool_->statistics().free_buffers + buffers ||
      queue.backlog.size() >= kRingSlots) {
    return drop(vif.statistics.rx_dropped_full);
  }
  queue.backlog_buffers += buffers;
  queue.backlog.push_back({.frame = std::move(frame), .since_ns = now_ns_});
}

}  // namespace ppvmm::net

#include "net/netback/data_path.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::net {
namespace {

/// Whose packet a frame is, so that its end can be told: in Frame::tag(). Never 0 for a guest's.
struct Origin {
  PortId port;
  std::uint8_t queue;
  std::uint16_t generation;
  std::uint32_t first;
};

constexpr std::uint64_t tag_of(const Origin& origin) {
  return std::uint64_t{origin.port} << 56 | std::uint64_t{origin.queue} << 48 |
         std::uint64_t{origin.generation} << 32 | origin.first;
}
constexpr Origin origin_of(std::uint64_t tag) {
  return {.port = static_cast<PortId>(tag >> 56),
          .queue = static_cast<std::uint8_t>(tag >> 48),
          .generation = static_cast<std::uint16_t>(tag >> 32),
          .first = static_cast<std::uint32_t>(tag)};
}

std::uint32_t buffers_of(const Frame& frame) {
  return static_cast<std::uint32_t>(frame.fragments().size());
}

std::optional<std::uint64_t> earlier(std::optional<std::uint64_t> a, std::uint64_t b) {
  return a ? std::min(*a, b) : b;
}

}  // namespace

DataPath::DataPath(BufferPool& pool, GrantCopier& copier, Limits limits)
    : pool_(&pool), copier_(&copier), limits_(limits), shadow_(limits.shadow_frames) {}

std::optional<PortId> DataPath::add_vif(VifSettings settings, std::span<const QueuePages> pages,
                                        std::uint64_t now_ns) {
  if (pages.empty() || pages.size() > kQueuesMax) return std::nullopt;
  PortId port = kWire + 1;
  while (port < kPortsMax && vifs_[port])
    ++port;
  if (port == kPortsMax) return std::nullopt;
  auto vif = std::make_unique<Vif>();
  for (const QueuePages& page : pages) {
    Queue& queue = vif->queues.emplace_back(page);
    const auto unanswered = queue.tx.adopt();
    if (!unanswered || !queue.rx.adopt()) return std::nullopt;
    vif->statistics.tx_unanswered += *unanswered;
    // Whoever answered before may have died before it told.
    queue.tx_owed = true;
    queue.rx_owed = true;
  }
  PortRules rules{.address = settings.mac, .only_own = settings.only_own, .ipv4 = settings.ipv4};
  if (!switch_.add_port(port, std::move(rules))) return std::nullopt;
  vif->generation = ++generation_;
  if (settings.rate) vif->bucket = TokenBucket(*settings.rate, now_ns);
  vif->settings = std::move(settings);
  vifs_[port] = std::move(vif);
  ports_.push_back(port);
  return port;
}

void DataPath::remove_vif(PortId port) {
  if (port >= kPortsMax || !vifs_[port]) return;
  switch_.remove_port(port);
  std::erase(ports_, port);
  const auto gone = std::move(vifs_[port]);
  for (Queue& queue : gone->queues) {
    for (const Queue::Waiting& waiting : queue.backlog)
      end(waiting.frame.tag(), TxStatus::dropped);
  }
}

void DataPath::set_rate(PortId port, std::optional<RateLimit> rate, std::uint64_t now_ns) {
  if (port >= kPortsMax || !vifs_[port] || vifs_[port]->settings.rate == rate) return;
  vifs_[port]->settings.rate = rate;
  vifs_[port]->bucket = rate ? TokenBucket(*rate, now_ns) : TokenBucket();
}

void DataPath::set_nic(Nic* nic) {
  nic_ = nic;
  shadow_.forget_given();
  if (nic == nullptr) return;
  if (!wire_exists_) wire_exists_ = switch_.add_port(kWire, {});
  link_changed(nic->link());
}

void DataPath::kick(PortId port, std::uint8_t queue) {
  if (port >= kPortsMax || !vifs_[port] || queue >= vifs_[port]->queues.size()) return;
  vifs_[port]->queues[queue].tx_work = true;
}

bool DataPath::run(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  ++statistics_.passes;
  std::size_t received = 0;
  if (nic_ != nullptr) received = nic_->poll(limits_.frames_from_wire);
  read_guests();
  finish_incoming();
  for (Frame& frame : arrivals_)
    coalescer_.add(std::move(frame), joined_);
  coalescer_.flush(joined_);
  arrivals_.clear();
  for (Frame& frame : joined_)
    route(std::move(frame), kWire);
  joined_.clear();
  deliver();
  serve_wire();
  answer();
  // Everybody gets to be the first.
  if (ports_.size() > 1) std::rotate(ports_.begin(), ports_.begin() + 1, ports_.end());
  return still_work() || received >= limits_.frames_from_wire;
}

void DataPath::read_guests() {
  for (const PortId port : ports_) {
    Vif& vif = *vifs_[port];
    while (!vif.parked.empty() && shadow_.room()) {
      (void)shadow_.entrust(std::move(vif.parked.front()));
      vif.parked.erase(vif.parked.begin());
    }
    if (vif.hostile || !vif.parked.empty()) continue;
    for (std::uint8_t i = 0; i < vif.queues.size() && !vif.hostile; ++i) {
      if (vif.queues[i].tx_work) read_queue(port, vif, i);
    }
  }
}

void DataPath::read_queue(PortId port, Vif& vif, std::uint8_t index) {
  Queue& queue = vif.queues[index];
  for (std::uint32_t i = 0; i < limits_.packets_per_turn; ++i) {
    if (!vif.bucket.open(now_ns_)) return;
    TxPacket packet;
    const auto more = queue.tx.next(packet);
    if (!more) {
      offend(port, vif, more.error());
      return;
    }
    if (!*more) {
      queue.tx_work = queue.tx.sleep();
      if (!queue.tx_work) return;
      continue;
    }
    if (packet.droppable) {
      ++vif.statistics.tx_errors;
      queue.tx.done(packet.first, TxStatus::error);
      continue;
    }
    if (!copy_in(port, index, packet)) {
      queue.tx.put_back(packet);
      ++statistics_.starved;
      return;
    }
    vif.bucket.spend(packet.length);
  }
}

bool DataPath::copy_in(PortId port, std::uint8_t queue, const TxPacket& packet) {
  const auto pool = pool_->statistics();
  const auto needed = static_cast<std::uint32_t>((packet.length + kBufferBytes - 1) / kBufferBytes);
  const Vif& vif = *vifs_[port];
  std::uint32_t held = 0;
  for (const Queue& each : vif.queues)
    held += each.tx.held();
  if (pool.free_buffers < limits_.reserve + needed || held > pool.free_buffers + packet.slots) {
    return false;
  }
  Frame frame = pool_->frame_of(packet.length);
  if (!frame) return false;
  frame.tag() =
      tag_of({.port = port, .queue = queue, .generation = vif.generation, .first = packet.first});
  frame.offload() = {.checksum_blank = packet.checksum_blank,
                     .data_validated = packet.data_validated || packet.checksum_blank,
                     .gso = packet.gso,
                     .gso_size = packet.gso_size,
                     .checksum_start = 0,
                     .checksum_offset = 0};
  const auto first_copy = static_cast<std::uint32_t>(copies_.size());
  const auto targets = frame.fragments();
  std::size_t target = 0;
  std::uint16_t at = 0;
  for (const TxFragment& piece : packet.pieces()) {
    std::uint16_t done = 0;
    while (done < piece.length) {
      const auto room = static_cast<std::uint16_t>(targets[target].length - at);
      const auto count =
          std::min<std::uint16_t>(room, static_cast<std::uint16_t>(piece.length - done));
      copies_.push_back({.domid = vif.settings.domid,
                         .direction = GrantCopy::Direction::from_guest,
                         .failed = false,
                         .guest_offset = static_cast<std::uint16_t>(piece.offset + done),
                         .buffer_offset = static_cast<std::uint16_t>(targets[target].offset + at),
                         .length = count,
                         .grant = piece.grant,
                         .buffer = targets[target].buffer});
      done = static_cast<std::uint16_t>(done + count);
      at = static_cast<std::uint16_t>(at + count);
      if (at == targets[target].length) {
        ++target;
        at = 0;
      }
    }
  }
  incoming_.push_back({.port = port,
                       .queue = queue,
                       .first_copy = first_copy,
                       .copies = static_cast<std::uint32_t>(copies_.size()) - first_copy,
                       .packet = packet,
                       .frame = std::move(frame)});
  return true;
}

void DataPath::finish_incoming() {
  if (incoming_.empty()) return;
  copier_->copy(copies_);
  statistics_.copies += copies_.size();
  for (Incoming& each : incoming_) {
    Vif& vif = *vifs_[each.port];
    Queue& queue = vif.queues[each.queue];
    const auto copies = std::span(copies_).subspan(each.first_copy, each.copies);
    if (std::ranges::any_of(copies, &GrantCopy::failed)) {
      ++vif.statistics.tx_errors;
      if (++vif.statistics.tx_bad_grants >= limits_.bad_grants) {
        offend(each.port, vif, Hostile::bad_grants);
      }
      queue.tx.done(each.packet.first, TxStatus::error);
      continue;
    }
    Offload& offload = each.frame.offload();
    if (offload.checksum_blank || offload.gso != Gso::none) {
      if (!locate_checksum(each.frame, headers_of(each.frame))) {
        if (offload.gso != Gso::none) {
          ++vif.statistics.tx_errors;
          queue.tx.done(each.packet.first, TxStatus::error);
          continue;
        }
        offload.checksum_blank = false;  // nothing there that could be completed
      }
    }
    ++vif.statistics.tx_packets;
    vif.statistics.tx_bytes += each.packet.length;
    route(std::move(each.frame), each.port);
  }
  incoming_.clear();
  copies_.clear();
}

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
  for (const PortId port : ports_) {
    if (Frame copy = share_for(port)) to_vif(std::move(copy), port);
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
    } else if (!shadow_.entrust(std::move(each))) {
      if (guests) vifs_[origin.port]->parked.push_back(std::move(each));
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
    std::size_t used = frame.copy_out(from, {key.data(), from == 0 ? 12 : count});
    if (headers.transport != Transport::other) {
      used += frame.copy_out(headers.transport_start, {key.data() + used, 4});
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

void DataPath::deliver() {
  for (const PortId port : ports_) {
    Vif& vif = *vifs_[port];
    for (std::uint8_t i = 0; i < vif.queues.size() && !vif.hostile; ++i) {
      if (!vif.queues[i].backlog.empty() || vif.queues[i].stalled) deliver_queue(port, vif, i);
    }
  }
  finish_outgoing();
}

void DataPath::deliver_queue(PortId port, Vif& vif, std::uint8_t index) {
  Queue& queue = vif.queues[index];
  const auto available = queue.rx.available();
  if (!available) {
    offend(port, vif, available.error());
    return;
  }
  std::uint32_t buffers = *available;
  if (buffers > 0) queue.stalled = false;
  while (!queue.backlog.empty()) {
    Queue::Waiting& waiting = queue.backlog.front();
    adapted_.clear();
    const Adapted adapted = adapt(waiting.frame, vif.settings.abilities, *pool_, adapted_);
    if (adapted == Adapted::no_memory) return;
    const bool fits = adapted == Adapted::as_is
                          ? vif.settings.scatter_gather || waiting.frame.length() <= kBufferBytes
                          : adapted == Adapted::replaced;
    std::uint32_t needed = 0;
    if (adapted == Adapted::as_is) {
      needed = rx_slots_of(waiting.frame);
    } else {
      for (const Frame& each : adapted_)
        needed += rx_slots_of(each);
    }
    if (fits && needed <= kRingSlots && needed > buffers) {
      if (queue.rx.sleep(queue.rx.taken() + needed)) {
        const auto now = queue.rx.available();
        if (!now) return offend(port, vif, now.error());
        buffers = *now;
        if (needed <= buffers) continue;
      }
      expire(vif, queue);
      return;
    }
    Frame frame = std::move(waiting.frame);
    queue.backlog_buffers -= buffers_of(frame);
    queue.backlog.pop_front();
    if (!fits || needed > kRingSlots) {
      ++vif.statistics.rx_dropped_unfit;
      end(frame.tag(), TxStatus::okay);
      continue;
    }
    buffers -= needed;
    if (adapted == Adapted::as_is) {
      copy_out(port, vif, index, std::move(frame));
      continue;
    }
    // Only the last one ends the packet it was made of.
    for (Frame& each : adapted_) {
      each.tag() = &each == &adapted_.back() ? frame.tag() : 0;
      copy_out(port, vif, index, std::move(each));
    }
  }
}

void DataPath::copy_out(PortId port, Vif& vif, std::uint8_t index, Frame frame) {
  Queue& queue = vif.queues[index];
  Outgoing out{.port = port,
               .queue = index,
               .slots = static_cast<std::uint16_t>(rx_slots_of(frame)),
               .place = queue.rx.taken(),
               .first_copy = static_cast<std::uint32_t>(copies_.size()),
               .copies = 0,
               .frame = std::move(frame)};
  const Offload& offload = out.frame.offload();
  std::uint32_t left = out.frame.length();
  std::uint16_t used = kBufferBytes;
  abi::GrantRef grant = 0;
  for (const Fragment& fragment : out.frame.fragments()) {
    std::uint16_t done = 0;
    while (done < fragment.length) {
      if (used == kBufferBytes) {
        const bool first = left == out.frame.length();
        grant = queue.rx.take();
        used = 0;
        if (first && offload.gso != Gso::none) {
          netif_extra_info_t info{};
          info.type = XEN_NETIF_EXTRA_TYPE_GSO;
          info.u.gso.size = offload.gso_size;
          info.u.gso.type =
              offload.gso == Gso::tcp_v4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
          queue.rx.take_extra(info);
        }
      }
      const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(
          kBufferBytes - used, static_cast<std::size_t>(fragment.length - done)));
      copies_.push_back({.domid = vif.settings.domid,
                         .direction = GrantCopy::Direction::to_guest,
                         .failed = false,
                         .guest_offset = used,
                         .buffer_offset = static_cast<std::uint16_t>(fragment.offset + done),
                         .length = count,
                         .grant = grant,
                         .buffer = fragment.buffer});
      done = static_cast<std::uint16_t>(done + count);
      used = static_cast<std::uint16_t>(used + count);
      left -= count;
    }
  }
  out.copies = static_cast<std::uint32_t>(copies_.size()) - out.first_copy;
  outgoing_.push_back(std::move(out));
}

void DataPath::finish_outgoing() {
  if (outgoing_.empty()) return;
  copier_->copy(copies_);
  statistics_.copies += copies_.size();
  for (Outgoing& each : outgoing_) {
    Vif& vif = *vifs_[each.port];
    RxRing& ring = vif.queues[each.queue].rx;
    const Offload& offload = each.frame.offload();
    const bool segmented = offload.gso != Gso::none;
    std::uint32_t copy = each.first_copy;
    const std::uint32_t end_copy = each.first_copy + each.copies;
    std::uint32_t left = each.frame.length();
    bool failed = false;
    for (std::uint32_t slot = 0; slot < each.slots; ++slot) {
      if (segmented && slot == 1) continue;  // its extra info
      const std::uint32_t bytes = std::min<std::uint32_t>(left, kBufferBytes);
      left -= bytes;
      std::uint32_t copied = 0;
      bool bad = false;
      while (copy < end_copy && copied < bytes) {
        bad = bad || copies_[copy].failed;
        copied += copies_[copy++].length;
      }
      std::uint16_t flags = left > 0 ? NETRXF_more_data : 0;
      if (slot == 0) {
        if (segmented) flags |= NETRXF_extra_info;
        if (offload.checksum_blank) flags |= NETRXF_csum_blank | NETRXF_data_validated;
        if (offload.data_validated) flags |= NETRXF_data_validated;
      }
      ring.fill(each.place + slot, flags,
                bad ? std::int16_t{NETIF_RSP_ERROR} : static_cast<std::int16_t>(bytes));
      failed = failed || bad;
    }
    if (failed) {
      if (++vif.statistics.rx_bad_grants >= limits_.bad_grants) {
        offend(each.port, vif, Hostile::bad_grants);
      }
    } else {
      ++vif.statistics.rx_packets;
      vif.statistics.rx_bytes += each.frame.length();
    }
  }
  // The receivers have them before the senders are told.
  for (const PortId port : ports_) {
    for (Queue& queue : vifs_[port]->queues) {
      if (queue.rx.taken() > 0 && queue.rx.publish()) queue.rx_owed = true;
    }
  }
  for (const Outgoing& each : outgoing_)
    end(each.frame.tag(), TxStatus::okay);
  outgoing_.clear();
  copies_.clear();
}

void DataPath::expire(Vif& vif, Queue& queue) {
  if (now_ns_ < queue.backlog.front().since_ns + kPatienceNs) return;
  queue.stalled = true;
  for (const Queue::Waiting& waiting : queue.backlog) {
    ++vif.statistics.rx_dropped_expired;
    end(waiting.frame.tag(), TxStatus::okay);
  }
  queue.backlog.clear();
  queue.backlog_buffers = 0;
}

void DataPath::serve_wire() {
  if (!wire_usable() && shadow_.held() > 0) {
    statistics_.link_dropped += shadow_.held();
    shadow_.drop_all(ended_);
  }
  if (nic_ != nullptr) {
    shadow_.pump(*nic_, ended_);
    nic_->flush();
  }
  take_ended();
}

void DataPath::answer() {
  for (const PortId port : ports_) {
    Vif& vif = *vifs_[port];
    if (vif.hostile) continue;
    for (Queue& queue : vif.queues) {
      if (queue.tx.push()) queue.tx_owed = true;
    }
  }
}

bool DataPath::still_work() {
  const bool buffers = pool_->statistics().free_buffers > limits_.reserve;
  for (const PortId port : ports_) {
    Vif& vif = *vifs_[port];
    if (vif.hostile || !vif.parked.empty() || !vif.bucket.open(now_ns_)) continue;
    for (const Queue& queue : vif.queues) {
      // One that waits for its own packets to end has nothing to do before they do.
      if (queue.tx_work && buffers && queue.tx.held() < kRingSlots / 2) return true;
    }
  }
  return false;
}

std::optional<std::uint64_t> DataPath::deadline(std::uint64_t now_ns) const {
  std::optional<std::uint64_t> next;
  for (const PortId port : ports_) {
    const Vif& vif = *vifs_[port];
    if (vif.hostile) continue;
    for (const Queue& queue : vif.queues) {
      if (queue.tx_work && vif.bucket.limited()) {
        next = earlier(next, vif.bucket.opens_at(now_ns));
      }
      if (!queue.backlog.empty()) {
        next = earlier(next, queue.backlog.front().since_ns + kPatienceNs);
      }
    }
  }
  if (link_down_since_ && shadow_.held() > 0) {
    next = earlier(next, *link_down_since_ + kLinkPatienceNs);
  }
  return next;
}

std::vector<Notification> DataPath::take_notifications() {
  std::vector<Notification> owed;
  for (const PortId port : ports_) {
    auto& queues = vifs_[port]->queues;
    for (std::uint8_t i = 0; i < queues.size(); ++i) {
      Queue& queue = queues[i];
      if (!queue.tx_owed && !queue.rx_owed) continue;
      owed.push_back({.port = port,
                      .queue = i,
                      .tx = std::exchange(queue.tx_owed, false),
                      .rx = std::exchange(queue.rx_owed, false)});
    }
  }
  return owed;
}

std::vector<Offence> DataPath::take_offences() {
  return std::exchange(offences_, {});
}

void DataPath::received(Frame frame) {
  arrivals_.push_back(std::move(frame));
}

void DataPath::sent(Frame frame) {
  shadow_.sent(frame, ended_);
  take_ended();
}

void DataPath::link_changed(NicLink link) {
  if (link.up) {
    link_down_since_.reset();
  } else if (!link_down_since_) {
    link_down_since_ = now_ns_;
  }
}

bool DataPath::wire_usable() const {
  return !link_down_since_ || now_ns_ < *link_down_since_ + kLinkPatienceNs;
}

void DataPath::end(std::uint64_t tag, TxStatus status) {
  if (tag == 0) return;
  const Origin origin = origin_of(tag);
  if (origin.port >= kPortsMax || !vifs_[origin.port]) return;
  Vif& vif = *vifs_[origin.port];
  if (vif.generation != origin.generation || origin.queue >= vif.queues.size()) return;
  vif.queues[origin.queue].tx.done(origin.first, status);
}

void DataPath::take_ended() {
  for (const Shadow::Ended& each : ended_)
    end(each.tag, each.sent ? TxStatus::okay : TxStatus::error);
  ended_.clear();
}

void DataPath::offend(PortId port, Vif& vif, Hostile reason) {
  if (vif.hostile) return;
  vif.hostile = reason;
  offences_.push_back({.port = port, .reason = reason});
  // What waits for it will never be taken. Its own packets under way go on: they are whole.
  for (Queue& queue : vif.queues) {
    for (const Queue::Waiting& waiting : queue.backlog)
      end(waiting.frame.tag(), TxStatus::okay);
    queue.backlog.clear();
    queue.backlog_buffers = 0;
  }
}

}  // namespace ppvmm::net

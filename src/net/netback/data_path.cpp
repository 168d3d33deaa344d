#include "net/netback/data_path.hpp"

#include <algorithm>
#include <utility>

#include "net/netback/frame_tag.hpp"

namespace ppvmm::net {
namespace {

std::optional<std::uint64_t> earlier(std::optional<std::uint64_t> a, std::uint64_t b) {
  return a ? std::min(*a, b) : b;
}

/// Answers everything that lies in the ring as dropped. False if the ring is impossible.
bool lose_all(TxRing& ring) {
  TxPacket packet;
  auto more = ring.next(packet);
  for (; more && *more; more = ring.next(packet))
    ring.done(packet.first, TxStatus::dropped);
  return more.has_value();
}

}  // namespace

DataPath::DataPath(BufferPool& pool, GrantCopier& copier, Limits limits)
    : pool_(&pool),
      copier_(&copier),
      limits_(limits),
      shadow_(limits.shadow_frames),
      generation_(limits.first_generation) {}

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
    if (settings.lose_unanswered && !lose_all(queue.tx)) return std::nullopt;
    vif->statistics.tx_unanswered += *unanswered;
    // Whoever answered before may have died before it told.
    queue.tx_owed = true;
    queue.rx_owed = true;
  }
  PortRules rules{.address = settings.mac, .only_own = settings.only_own, .ipv4 = settings.ipv4};
  if (!switch_.add_port(port, std::move(rules))) return std::nullopt;
  vif->generation = ++generation_;
  vif->floods = TokenBucket(kFloodLimit, now_ns);
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
  expect_wire();
  link_changed(nic->link());
}

void DataPath::expect_wire() {
  if (!wire_exists_) wire_exists_ = switch_.add_port(kWire, {});
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

void DataPath::take_notifications(std::vector<Notification>& owed) {
  for (const PortId port : ports_) {
    auto& queues = vifs_[port]->queues;
    for (std::size_t i = 0; i < queues.size(); ++i) {
      Queue& queue = queues[i];
      if (!queue.tx_owed && !queue.rx_owed) continue;
      owed.push_back({.port = port,
                      .queue = static_cast<std::uint8_t>(i),
                      .tx = std::exchange(queue.tx_owed, false),
                      .rx = std::exchange(queue.rx_owed, false)});
    }
  }
}

void DataPath::take_offences(std::vector<Offence>& offences) {
  offences.insert(offences.end(), offences_.begin(), offences_.end());
  offences_.clear();
}

void DataPath::received(Frame frame) {
  if (frame.fragments().empty()) return contradict("a packet came that has no pieces");
  pool_->note(frame);
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

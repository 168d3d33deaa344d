// To the guests: buffers taken, filled and answered.
#include <algorithm>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"
#include "net/netback/page_layout.hpp"

namespace ppvmm::net {
namespace {

RxLayout layout_of(const Frame& frame) {
  return rx_layout_of(frame.fragments(), frame.length(), frame.offload().gso != Gso::none);
}

}  // namespace

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
    if (waiting.frame.lent() && lender_of(waiting.frame) == nullptr) {
      ++statistics_.lent_lost;
      queue.backlog_buffers -= buffers_of(waiting.frame);
      queue.backlog.pop_front();
      continue;
    }
    adapted_.clear();
    const Adapted adapted = adapt(waiting.frame, vif.settings.abilities, *pool_, adapted_);
    if (adapted == Adapted::no_memory) return;
    const bool fits = adapted == Adapted::as_is
                          ? vif.settings.scatter_gather || waiting.frame.length() <= kBufferBytes
                          : adapted == Adapted::replaced;
    std::uint32_t needed = 0;
    if (adapted == Adapted::as_is) {
      needed = layout_of(waiting.frame).slots;
    } else {
      for (const Frame& each : adapted_)
        needed += layout_of(each).slots;
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
  const RxLayout layout = layout_of(frame);
  Outgoing out{.port = port,
               .queue = index,
               .slots = static_cast<std::uint16_t>(layout.slots),
               .place = queue.rx.taken(),
               .first_copy = static_cast<std::uint32_t>(copies_.size()),
               .copies = 0,
               .frame = std::move(frame),
               .blame = Blame::receiver};
  const Offload& offload = out.frame.offload();
  const Vif* const lender = out.frame.lent() ? lender_of(out.frame) : nullptr;
  if (lender != nullptr) ++statistics_.lent;
  std::uint32_t left = out.frame.length();
  std::uint16_t used = kBufferBytes;
  abi::GrantRef grant = 0;
  for (const Fragment& fragment : out.frame.fragments()) {
    std::uint16_t done = 0;
    while (done < fragment.length) {
      if (used == kBufferBytes || (layout.whole && used + fragment.length > kBufferBytes)) {
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
                         .direction = fragment.lent() ? GrantCopy::Direction::between_guests
                                                      : GrantCopy::Direction::to_guest,
                         .failed = false,
                         .guest_offset = used,
                         .buffer_offset = static_cast<std::uint16_t>(fragment.offset + done),
                         .length = count,
                         .lender = lender != nullptr ? lender->settings.domid : abi::DomId{},
                         .grant = grant,
                         .buffer = fragment.lent() ? fragment.grant() : fragment.buffer});
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
    if (each.frame.lent()) copy_by_way(each);
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
      std::uint32_t bytes = 0;
      bool bad = false;
      do {
        bad = bad || copies_[copy].failed;
        bytes += copies_[copy++].length;
      } while (copy < end_copy && copies_[copy].guest_offset != 0);
      left -= bytes;
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
    if (left != 0) {
      // Not answered: whoever is made anew over the rings carries it out.
      contradict("a packet was delivered that is not whole");
      each.frame.tag() = 0;
    } else if (failed) {
      blame(each);
    } else {
      vif.idle_events = 0;  // it has reason to notify us of buffers
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
    end(each.frame.tag(), each.blame == Blame::lender ? TxStatus::error : TxStatus::okay);
  outgoing_.clear();
  copies_.clear();
}

/// A part of the packet could not be copied.
void DataPath::blame(const Outgoing& outgoing) {
  const PortId lender = origin_of(outgoing.frame.tag()).port;
  Vif& vif = *vifs_[outgoing.port];
  switch (outgoing.blame) {
    case Blame::receiver:
      if (++vif.statistics.rx_bad_grants >= limits_.bad_grants) {
        offend(outgoing.port, vif, Hostile::bad_grants);
      }
      return;
    case Blame::lender:
      return refused(lender, *vifs_[lender]);
    case Blame::nobody:
      ++statistics_.lent_lost;
      return;
  }
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

}  // namespace ppvmm::net

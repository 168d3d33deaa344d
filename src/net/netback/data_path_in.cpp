// From the guests: requests read, checked, and copied in.
#include <algorithm>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"
#include "net/netback/page_layout.hpp"

namespace ppvmm::net {
namespace {

/// It has more than the piece in which its headers are, and grants that a frame can hold.
bool lendable(const TxPacket& packet) {
  const auto others = packet.pieces().subspan(1);
  return !others.empty() && std::ranges::all_of(others, [](const TxFragment& piece) {
    return piece.grant < Fragment::kLent;
  });
}

}  // namespace

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
      if (queue.tx_work) continue;
      // An event now and then comes for nothing, or for buffers; without end they are an attack.
      if (i == 0 && ++vif.idle_events >= limits_.idle_events) {
        offend(port, vif, Hostile::event_storm);
      }
      return;
    }
    vif.idle_events = 0;
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
  const Vif& vif = *vifs_[port];
  const bool lent = vif.queues[queue].lends && lendable(packet);
  const std::size_t count = lent ? 1 : packet.count;  // pieces that are copied now
  PageLayout layout;
  std::array<PageLayout::Place, kFragmentsMax> places;
  std::array<std::uint16_t, kFragmentsMax> used;  // of each page
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t length = packet.fragments[i].length;
    places[i] = layout.add(length);
    used[places[i].page] = static_cast<std::uint16_t>(places[i].offset + length);
  }
  const auto pool = pool_->statistics();
  const std::uint32_t needed = lent ? packet.count : layout.pages();  // at most, in the end
  std::uint32_t held = 0;
  for (const Queue& each : vif.queues)
    held += each.tx.held();
  if (pool.free_buffers < limits_.reserve + needed || held > pool.free_buffers + packet.slots) {
    return false;
  }
  Frame frame = pool_->frame();
  if (!frame) return false;
  for (std::uint16_t page = 0; page < layout.pages(); ++page) {
    Buffer buffer = pool_->take();
    if (!buffer || !frame.append(std::move(buffer), 0, used[page])) return false;
  }
  for (std::size_t i = count; i < packet.count; ++i) {
    const TxFragment& piece = packet.fragments[i];
    if (!frame.append_lent(piece.grant, piece.offset, piece.length)) return false;
  }
  if (frame.fragments().size() != layout.pages() + (packet.count - count) ||
      frame.length() != packet.length) {
    contradict("a packet was made that is not what was asked for");
    return false;
  }
  frame.tag() =
      tag_of({.port = port, .queue = queue, .generation = vif.generation, .first = packet.first});
  frame.offload() = {.checksum_blank = packet.checksum_blank,
                     .data_validated = packet.data_validated || packet.checksum_blank,
                     .gso = packet.gso,
                     .gso_size = packet.gso_size,
                     .checksum_start = 0,
                     .checksum_offset = 0};
  const auto first_copy = static_cast<std::uint32_t>(copies_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const TxFragment& piece = packet.fragments[i];
    copies_.push_back({.domid = vif.settings.domid,
                       .direction = GrantCopy::Direction::from_guest,
                       .failed = false,
                       .guest_offset = piece.offset,
                       .buffer_offset = places[i].offset,
                       .length = piece.length,
                       .lender = 0,
                       .grant = piece.grant,
                       .buffer = frame.fragments()[places[i].page].buffer});
  }
  incoming_.push_back({.port = port,
                       .queue = queue,
                       .first_copy = first_copy,
                       .copies = static_cast<std::uint32_t>(count),
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
      refused(each.port, vif);
      queue.tx.done(each.packet.first, TxStatus::error);
      continue;
    }
    Offload& offload = each.frame.offload();
    const bool undone = offload.checksum_blank || offload.gso != Gso::none;
    PacketHeaders headers;
    if (undone || each.frame.lent()) headers = headers_of(each.frame);
    if (each.frame.lent() && !fetch_headers(each.frame, headers)) continue;
    if (undone) {
      if (!locate_checksum(each.frame, headers)) {
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

}  // namespace ppvmm::net

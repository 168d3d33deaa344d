// From the guests: requests read, checked, and copied in.
#include <algorithm>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"

namespace ppvmm::net {

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

}  // namespace ppvmm::net

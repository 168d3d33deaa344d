// Packets through a virtio network card: VIRTIO 1.2, 5.1.6.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "net/headers.hpp"
#include "net/nic/virtio/virtio_net.hpp"

namespace ppvmm::net::nic::virtio {
namespace {

constexpr std::size_t kHeader = sizeof(PacketHeader);
/// The largest packet with a VLAN tag.
constexpr std::size_t kLongest = VirtioNet::kMtuMax + kEthernetHeader + kVlanTag;

}  // namespace

void VirtioNet::refill() {
  while (receive_queue_.free() > 0) {
    Buffer buffer = pool_->take();
    if (!buffer) {
      ++statistics_.rx_no_buffer;
      break;
    }
    const std::array in{Piece{buffer.dma(), kBufferBytes}};
    const auto id = receive_queue_.add({}, in);
    if (!id) break;
    receive_buffers_[*id] = std::move(buffer);
  }
  if (receive_queue_.publish()) notify(kReceiveQueue);
}

std::size_t VirtioNet::receive(std::size_t budget) {
  constexpr std::size_t kBatch = 32;
  std::size_t frames = 0;
  // Also bounded by buffers, for a device that never ends a packet.
  for (std::size_t looked = 1; frames < budget && looked <= 2 * budget + kQueueEntriesMax;
       ++looked) {
    const auto used = receive_queue_.take();
    if (!used) break;
    if (take_piece(*used)) ++frames;
    if (looked % kBatch == 0) refill();
  }
  if (receive_queue_.broken()) device_error_ = true;
  refill();
  return frames;
}

/// The first buffer of a packet begins with its header.
bool VirtioNet::begin_packet(Buffer& buffer, std::uint32_t length) {
  if (length <= kHeader) return false;
  std::memcpy(&assembling_header_, buffer.data(), kHeader);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const std::uint16_t buffers = assembling_header_.buffers;
  if (buffers == 0 || buffers > kFragmentsMax) return false;
  pieces_left_ = buffers;
  return true;
}

/// True if a packet ended with it, well or not.
bool VirtioNet::take_piece(const Queue::Used& used) {
  Buffer buffer = std::move(receive_buffers_[used.id]);
  const bool first = pieces_left_ == 0;
  const auto drop = [&](std::uint64_t& counter) {
    ++counter;
    assembling_.reset();
    discarding_ = pieces_left_ > 0;
    return !discarding_;
  };
  if (!buffer || used.length > kBufferBytes || (first && !begin_packet(buffer, used.length))) {
    device_error_ = device_error_ || used.length > kBufferBytes;
    if (!first) --pieces_left_;
    return drop(statistics_.rx_malformed);
  }
  --pieces_left_;
  if (discarding_) {
    discarding_ = pieces_left_ > 0;
    return !discarding_;
  }
  if (first) assembling_ = pool_->frame();
  // A buffer leaves the queue only if another can take its place; this one then goes back.
  if (!assembling_ || pool_->statistics().free_buffers == 0) {
    return drop(statistics_.rx_no_buffer);
  }
  const std::size_t offset = first ? kHeader : 0;
  const std::size_t length = used.length - offset;
  if (assembling_.length() + length > kLongest ||
      !assembling_.append(std::move(buffer), offset, length)) {
    return drop(statistics_.rx_malformed);
  }
  if (pieces_left_ > 0) return false;
  end_packet();
  return true;
}

void VirtioNet::end_packet() {
  const PacketHeader& header = assembling_header_;
  const std::size_t length = assembling_.length();
  const std::size_t place = std::size_t{header.checksum_start} + header.checksum_offset;
  const bool blank = (header.flags & kHeaderNeedsChecksum) != 0;
  // No segmentation was agreed on, and a checksum has its place within the packet.
  if (length < kEthernetHeader || header.gso_type != kGsoNone ||
      (blank && (header.checksum_start < kEthernetHeader || place + 2 > length))) {
    ++statistics_.rx_malformed;
    assembling_.reset();
    return;
  }
  Offload& offload = assembling_.offload();
  offload.checksum_blank = blank;
  offload.data_validated = blank || (header.flags & kHeaderDataValid) != 0;
  if (blank) {
    offload.checksum_start = header.checksum_start;
    offload.checksum_offset = header.checksum_offset;
  }
  ++statistics_.rx_packets;
  statistics_.rx_bytes += length;
  hand_over(std::move(assembling_));
}

bool VirtioNet::fill_header(const Frame& frame, PacketHeader& header) const {
  const Offload& offload = frame.offload();
  const std::size_t length = frame.length();
  const std::size_t place = std::size_t{offload.checksum_start} + offload.checksum_offset;
  header = {};
  if (length < kEthernetHeader) return false;
  if (offload.checksum_blank) {
    if ((features_ & feature::kChecksum) == 0 || offload.checksum_start < kEthernetHeader ||
        place + 2 > length) {
      return false;
    }
    header.flags = kHeaderNeedsChecksum;
    header.checksum_start = offload.checksum_start;
    header.checksum_offset = offload.checksum_offset;
  }
  if (offload.gso == Gso::none) return length <= std::size_t{mtu_} + kEthernetHeader + kVlanTag;

  const bool v4 = offload.gso == Gso::tcp_v4;
  std::array<std::byte, kHeadersMax> bytes;
  const std::size_t have = frame.copy_out(0, bytes);
  const auto headers = locate(std::span{bytes}.first(have));
  if (!(v4 ? features().tso_v4 : features().tso_v6) || !headers ||
      headers->protocol != protocol::kTcp || offload.gso_size == 0 ||
      headers->type != (v4 ? ethertype::kIpv4 : ethertype::kIpv6) || length <= headers->payload ||
      std::size_t{offload.gso_size} + headers->payload >
          std::size_t{mtu_} + kEthernetHeader + kVlanTag) {
    return false;
  }
  // 5.1.6.2: segmentation goes with the checksum.
  header.flags = kHeaderNeedsChecksum;
  header.checksum_start = headers->l4;
  header.checksum_offset = 16;
  header.gso_type = v4 ? kGsoTcpV4 : kGsoTcpV6;
  header.gso_size = offload.gso_size;
  header.header_bytes = headers->payload;
  return true;
}

TransmitResult VirtioNet::transmit(Frame&& frame) {
  PacketHeader header;
  if (!started_ || gone_ || transmit_queue_.broken()) {
    ++statistics_.tx_full;
    wants_room_ = true;
    return TransmitResult::full;
  }
  if (!fill_header(frame, header)) {
    ++statistics_.tx_refused;
    return TransmitResult::refused;
  }
  const std::span<const Fragment> fragments = frame.fragments();
  if (transmit_queue_.free() < fragments.size() + 1 || outgoing_count_ == outgoing_.size()) {
    ++statistics_.tx_full;
    wants_room_ = true;
    return TransmitResult::full;
  }
  // Each head descriptor has a slot for the header.
  std::array<Piece, kFragmentsMax + 1> pieces;
  const std::size_t slot = transmit_queue_.next_head() * kHeaderSlot;
  std::memcpy(header_page_.data + slot, &header, kHeader);
  pieces[0] = {.address = header_page_.address + slot, .length = kHeader};
  for (std::size_t i = 0; i < fragments.size(); ++i)
    pieces[i + 1] = {.address = frame.dma(fragments[i]), .length = fragments[i].length};
  const auto head = transmit_queue_.add(std::span{pieces}.first(fragments.size() + 1), {});
  if (!head) return TransmitResult::full;
  const std::size_t place = (outgoing_first_ + outgoing_count_++) % kQueueEntriesMax;
  outgoing_[place] = {.frame = std::move(frame), .done = false};
  outgoing_of_[*head] = static_cast<std::uint16_t>(place);
  ++accepted_;
  return TransmitResult::accepted;
}

void VirtioNet::flush() {
  if (started_ && !gone_ && transmit_queue_.publish()) notify(kTransmitQueue);
}

void VirtioNet::reap() {
  while (const auto used = transmit_queue_.take())
    outgoing_[outgoing_of_[used->id]].done = true;
  if (transmit_queue_.broken()) device_error_ = true;
  while (outgoing_count_ > 0 && outgoing_[outgoing_first_].done) {
    Frame frame = std::move(outgoing_[outgoing_first_].frame);
    outgoing_[outgoing_first_].done = false;
    outgoing_first_ = (outgoing_first_ + 1) % kQueueEntriesMax;
    --outgoing_count_;
    ++sent_;
    ++statistics_.tx_packets;
    statistics_.tx_bytes += frame.length();
    client_->sent(std::move(frame));
  }
  if (wants_room_ && transmit_queue_.free() >= 2 * (kFragmentsMax + 1)) {
    wants_room_ = false;
    client_->room();
  }
}

}  // namespace ppvmm::net::nic::virtio

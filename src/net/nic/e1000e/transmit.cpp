// Sending: datasheet chapter 7.2; descriptors 7.2.10, segmentation 7.3.
#include <atomic>
#include <cstring>

#include "net/headers.hpp"
#include "net/nic/e1000e/e1000e.hpp"

namespace ppvmm::net::nic::e1000e {
namespace {

/// The shortest frame that the device pads by itself.
constexpr std::size_t kShortest = 17;

TransmitDescriptor* descriptor(const DmaPage& page, std::size_t index) {
  return reinterpret_cast<TransmitDescriptor*>(page.data) + index;
}

}  // namespace

/// What a frame needs.
struct E1000e::Plan {
  std::size_t descriptors{};  ///< Without a context descriptor.
  bool has_context{};
  std::array<std::uint64_t, 2> context{};
  std::uint32_t options{};  ///< Of its data descriptors.
  std::uint32_t command{};  ///< The same.
  // Segmentation only:
  std::size_t header_bytes{};
  Headers headers{};
};

std::size_t E1000e::transmit_space() const {
  // One descriptor stays free, for head equal to tail is an empty ring.
  return (transmit_oldest_ + kRing - transmit_next_ - 1) % kRing;
}

TransmitResult E1000e::plan(const Frame& frame, Plan& plan) {
  const Offload& offload = frame.offload();
  const std::size_t length = frame.length();
  plan.descriptors = frame.fragments().size();
  if (length < kShortest) return TransmitResult::refused;
  if (offload.gso == Gso::none) {
    if (length > std::size_t{mtu_} + kEthernetHeader + kVlanTag) return TransmitResult::refused;
    if (!offload.checksum_blank) return TransmitResult::accepted;
    const std::size_t place = std::size_t{offload.checksum_start} + offload.checksum_offset;
    // Both fields of the context have eight bits.
    if (offload.checksum_start < kEthernetHeader || place > 0xFF || place + 2 > length) {
      return TransmitResult::refused;
    }
    plan.has_context = true;
    plan.context[0] = std::uint64_t{offload.checksum_start} << 32 | std::uint64_t{place} << 40;
    plan.context[1] =
        tx::kExtended | tx::kTypeContext | (offload.checksum_offset == 16 ? tx::kTcp : 0);
    plan.options = tx::kInsertL4Checksum;
    return TransmitResult::accepted;
  }

  std::array<std::byte, kHeadersMax> bytes;
  const std::size_t have = frame.copy_out(0, bytes);
  const auto headers = locate(std::span{bytes}.first(have));
  const bool v4 = offload.gso == Gso::tcp_v4;
  if (!headers || headers->protocol != protocol::kTcp ||
      headers->type != (v4 ? ethertype::kIpv4 : ethertype::kIpv6)) {
    return TransmitResult::refused;
  }
  const std::size_t payload = length - headers->payload;
  if (payload == 0 || offload.gso_size == 0 || payload > 0xFFFFF ||
      std::size_t{offload.gso_size} + headers->payload >
          std::size_t{mtu_} + kEthernetHeader + kVlanTag) {
    return TransmitResult::refused;
  }
  plan.headers = *headers;
  plan.header_bytes = headers->payload;
  // The headers go out of a copy of our own, so what is left of the pieces they cover comes after.
  std::size_t covered = 0;
  plan.descriptors = 1;
  for (const Fragment& fragment : frame.fragments()) {
    covered += fragment.length;
    if (covered > plan.header_bytes) ++plan.descriptors;
  }
  plan.has_context = true;
  const auto l3 = std::uint64_t{headers->l3};
  const auto l4 = std::uint64_t{headers->l4};
  // Where the IP checksum begins, goes and ends; the same of TCP, which ends with the
  // packet.
  const std::uint64_t ip = v4 ? l3 | (l3 + 10) << 8 | (l4 - 1) << 16 : 0;
  plan.context[0] = ip | l4 << 32 | (l4 + 16) << 40;
  plan.context[1] = payload | tx::kExtended | tx::kTypeContext | tx::kSegment | tx::kTcp |
                    (v4 ? tx::kIpv4 : 0) | std::uint64_t{headers->payload} << 40 |
                    std::uint64_t{offload.gso_size} << 48;
  plan.command = tx::kSegment;
  plan.options = tx::kInsertL4Checksum | (v4 ? tx::kInsertIpChecksum : 0);
  return TransmitResult::accepted;
}

TransmitResult E1000e::transmit(Frame&& frame) {
  if (!started_ || gone_) {
    ++statistics_.tx_full;
    wants_room_ = true;
    return TransmitResult::full;
  }
  Plan wanted;
  if (plan(frame, wanted) == TransmitResult::refused) {
    ++statistics_.tx_refused;
    return TransmitResult::refused;
  }
  // The device keeps the last context (7.2.10): only another one is told to it.
  const bool context = wanted.has_context && (!context_valid_ || context_ != wanted.context);
  const std::size_t needed = wanted.descriptors + (context ? 1 : 0);
  if (transmit_space() < needed) {
    ++statistics_.tx_full;
    wants_room_ = true;
    return TransmitResult::full;
  }
  if (context) put_context(wanted);
  if (wanted.header_bytes > 0) put_segment_header(frame, wanted);
  std::size_t skip = wanted.header_bytes;
  const std::span<const Fragment> fragments = frame.fragments();
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const Fragment& fragment = fragments[i];
    if (skip >= fragment.length) {
      skip -= fragment.length;
      continue;
    }
    put_data(frame.dma(fragment) + skip, fragment.length - skip, wanted, i + 1 == fragments.size());
    skip = 0;
  }
  const std::size_t last = (transmit_next_ + kRing - 1) % kRing;
  transmit_frames_[last] = std::move(frame);
  ++accepted_;
  return TransmitResult::accepted;
}

void E1000e::put_context(const Plan& plan) {
  *descriptor(transmit_page_, transmit_next_) = {
      .first = plan.context[0],
      .lower = static_cast<std::uint32_t>(plan.context[1]),
      .upper = static_cast<std::uint32_t>(plan.context[1] >> 32)};
  context_ = plan.context;
  context_valid_ = true;
  transmit_next_ = (transmit_next_ + 1) % kRing;
}

/// 7.3: the device wants lengths and checksums of the IP header zero, and a pseudo header's sum
/// without the length in the TCP checksum. The frame itself stays as it is: others may hold it.
void E1000e::put_segment_header(const Frame& frame, const Plan& plan) {
  const std::size_t place = transmit_next_ * kHeaderSlot;
  const DmaPage& page = header_pages_[place / kBufferBytes];
  const std::span<std::byte> header{page.data + place % kBufferBytes, plan.header_bytes};
  (void)frame.copy_out(0, header);
  const std::size_t l3 = plan.headers.l3;
  const bool v4 = plan.headers.type == ethertype::kIpv4;
  put_big16(header, l3 + (v4 ? 2 : 4), 0);
  if (v4) put_big16(header, l3 + 10, 0);
  const auto addresses = v4 ? header.subspan(l3 + 12, 8) : header.subspan(l3 + 8, 32);
  put_big16(header, plan.headers.l4 + std::size_t{16}, checksum_add(addresses, protocol::kTcp));
  put_data(page.address + place % kBufferBytes, plan.header_bytes, plan, false);
}

void E1000e::put_data(DmaAddress address, std::size_t length, const Plan& plan, bool last) {
  const std::uint32_t end = last ? tx::kEnd | tx::kReport : 0;
  *descriptor(transmit_page_, transmit_next_) = {.first = address,
                                                 .lower = static_cast<std::uint32_t>(length) |
                                                          tx::kTypeData | tx::kExtended |
                                                          tx::kInsertCrc | plan.command | end,
                                                 .upper = plan.options};
  transmit_next_ = (transmit_next_ + 1) % kRing;
}

void E1000e::flush() {
  if (!started_ || gone_ || transmit_told_ == transmit_next_) return;
  // The descriptors before the tail: x86 keeps stores in order, the compiler must as well.
  std::atomic_thread_fence(std::memory_order_release);
  transmit_told_ = transmit_next_;
  write(Reg::tdt, static_cast<std::uint32_t>(transmit_told_));
}

void E1000e::reap() {
  while (transmit_oldest_ != transmit_told_) {
    // Frames end where one is kept; only there the device was asked to report.
    std::size_t last = transmit_oldest_;
    while (!transmit_frames_[last] && last != transmit_told_)
      last = (last + 1) % kRing;
    if (last == transmit_told_) break;
    const std::uint32_t upper =
        std::atomic_ref{descriptor(transmit_page_, last)->upper}.load(std::memory_order_acquire);
    if ((upper & tx::kDone) == 0) break;
    Frame frame = std::move(transmit_frames_[last]);
    transmit_oldest_ = (last + 1) % kRing;
    ++sent_;
    ++statistics_.tx_packets;
    statistics_.tx_bytes += frame.length();
    client_->sent(std::move(frame));
  }
  if (wants_room_ && transmit_space() >= 2 * (kFragmentsMax + 2)) {
    wants_room_ = false;
    client_->room();
  }
}

}  // namespace ppvmm::net::nic::e1000e

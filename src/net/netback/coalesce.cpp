#include "net/netback/coalesce.hpp"

#include <algorithm>
#include <utility>

#include "net/netback/offload.hpp"

namespace ppvmm::net {
namespace {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPush = 0x08;
constexpr std::uint8_t kAck = 0x10;
constexpr std::size_t kSequenceAt = 4;
constexpr std::size_t kAckAt = 8;
constexpr std::size_t kFlagsAt = 13;
constexpr std::size_t kChecksumAt = 16;
constexpr std::size_t kTcpBytes = 20;
constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kIpv6Bytes = 40;
/// What a 16-bit length can say of an IP packet.
constexpr std::size_t kIpMost = 65535;
constexpr std::uint8_t kTcp = 6;

std::uint8_t flags_of(std::span<const std::byte> header, const PacketHeaders& at) {
  return std::to_integer<std::uint8_t>(header[at.transport_start + kFlagsAt]);
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b, std::size_t from,
          std::size_t to) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from),
                    a.begin() + static_cast<std::ptrdiff_t>(to),
                    b.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace

Coalescer::Segment Coalescer::look(const Frame& frame) {
  Segment segment;
  const std::size_t bytes = frame.copy_out(0, segment.header);
  const std::span<const std::byte> header(segment.header.data(), bytes);
  const PacketHeaders at = parse_headers(header);
  segment.at = at;
  const Offload& offload = frame.offload();
  if (at.transport != Transport::tcp || !offload.data_validated || offload.gso != Gso::none ||
      at.payload_start > bytes) {
    return segment;
  }
  // Without options or extension headers, and its length must be what is there.
  const std::size_t ip_bytes = at.transport_start - std::size_t{at.network_start};
  const std::size_t packet = frame.length() - at.network_start;
  if (at.network == Network::ipv4) {
    if (ip_bytes != kIpv4Bytes || load16(header, at.network_start + 2u) != packet) return segment;
    if ((load16(header, at.network_start + 6u) & 0x3FFF) != 0) return segment;  // a fragment
  } else {
    if (ip_bytes != kIpv6Bytes || load16(header, at.network_start + 4u) + kIpv6Bytes != packet) {
      return segment;
    }
  }
  if (frame.length() <= at.payload_start) return segment;
  segment.payload = static_cast<std::uint16_t>(frame.length() - at.payload_start);
  const std::uint8_t flags = flags_of(header, at);
  segment.joinable = (flags & ~(kAck | kPush | kFin)) == 0 && (flags & kAck) != 0;
  return segment;
}

bool Coalescer::same_flow(const Open& open, const Segment& segment) {
  const PacketHeaders& at = open.at;
  if (segment.at.network != at.network || segment.at.network_start != at.network_start ||
      segment.at.transport_start != at.transport_start) {
    return false;
  }
  const std::size_t addresses = at.network_start + (at.network == Network::ipv4 ? 12u : 8u);
  return same(open.header, segment.header, 0, at.network_start) &&
         same(open.header, segment.header, addresses, at.transport_start + 4u);
}

bool Coalescer::join(Open& open, Frame& frame, const Segment& segment) {
  if (open.full || !segment.joinable) return false;
  const PacketHeaders& at = open.at;
  const std::size_t ip = at.network_start;
  const std::size_t tcp = at.transport_start;
  if (segment.at.payload_start != at.payload_start || segment.payload > open.segment) return false;
  if (load32(segment.header, tcp + kSequenceAt) != open.next) return false;
  // Acknowledgement, window and options; type of service and time to live.
  if (!same(open.header, segment.header, tcp + kAckAt, tcp + kAckAt + 4) ||
      !same(open.header, segment.header, tcp + 14, tcp + 16) ||
      !same(open.header, segment.header, tcp + kTcpBytes, at.payload_start)) {
    return false;
  }
  const bool alike = at.network == Network::ipv4
                         ? same(open.header, segment.header, ip, ip + 2) &&
                               same(open.header, segment.header, ip + 8, ip + 10)
                         : same(open.header, segment.header, ip, ip + 4) &&
                               same(open.header, segment.header, ip + 6, ip + 8);
  if (!alike || open.frame.length() - ip + segment.payload > kIpMost) return false;
  if (!open.frame.absorb(std::move(frame), segment.at.payload_start)) return false;
  open.next += segment.payload;
  open.last_flags = segment.header[tcp + kFlagsAt];
  ++open.joined;
  ++statistics_.joined;
  // A short one is the last of its packet, and so is one that says so.
  open.full =
      segment.payload < open.segment || (flags_of(segment.header, at) & (kPush | kFin)) != 0;
  return true;
}

void Coalescer::add(Frame frame, std::vector<Frame>& out) {
  const Segment segment = look(frame);
  if (segment.at.transport != Transport::tcp) {
    out.push_back(std::move(frame));
    return;
  }
  for (Open& open : open_) {
    if (!open.frame || !same_flow(open, segment)) continue;
    if (join(open, frame, segment)) return;
    close(open, out);
    break;
  }
  if (!segment.joinable || (flags_of(segment.header, segment.at) & (kPush | kFin)) != 0) {
    out.push_back(std::move(frame));
    return;
  }
  Open* place = nullptr;
  for (Open& open : open_) {
    if (!open.frame) place = &open;
  }
  if (place == nullptr) {
    place = &open_[next_victim_];
    next_victim_ = (next_victim_ + 1) % kFlows;
    close(*place, out);
  }
  *place = {
      .frame = std::move(frame),
      .header = segment.header,
      .at = segment.at,
      .next = load32(segment.header, segment.at.transport_start + kSequenceAt) + segment.payload,
      .segment = segment.payload,
      .joined = 0,
      .last_flags = segment.header[segment.at.transport_start + kFlagsAt],
      .full = false};
}

void Coalescer::close(Open& open, std::vector<Frame>& out) {
  if (open.joined > 0) {
    ++statistics_.packets;
    const PacketHeaders& at = open.at;
    const std::span<std::byte> header(open.header.data(), at.payload_start);
    const std::size_t packet = open.frame.length() - at.network_start;
    const std::size_t segment = open.frame.length() - at.transport_start;
    std::uint64_t pseudo = kTcp + segment;
    if (at.network == Network::ipv4) {
      const auto ip = header.subspan(at.network_start, kIpv4Bytes);
      store16(ip, 2, static_cast<std::uint16_t>(packet));
      store16(ip, 10, 0);
      store16(ip, 10, static_cast<std::uint16_t>(~folded(sum_of(ip, 0))));
      pseudo = sum_of(ip.subspan(12, 8), pseudo);
    } else {
      const auto ip = header.subspan(at.network_start, kIpv6Bytes);
      store16(ip, 4, static_cast<std::uint16_t>(packet - kIpv6Bytes));
      pseudo = sum_of(ip.subspan(8, 32), pseudo);
    }
    header[at.transport_start + kFlagsAt] |= open.last_flags;
    store16(header, at.transport_start + kChecksumAt, folded(pseudo));
    (void)open.frame.copy_in(0, header);
    open.frame.offload() = {.checksum_blank = true,
                            .data_validated = true,
                            .gso = at.network == Network::ipv4 ? Gso::tcp_v4 : Gso::tcp_v6,
                            .gso_size = open.segment,
                            .checksum_start = at.transport_start,
                            .checksum_offset = kChecksumAt};
  }
  out.push_back(std::move(open.frame));
  open.joined = 0;
}

void Coalescer::flush(std::vector<Frame>& out) {
  for (Open& open : open_) {
    if (open.frame) close(open, out);
  }
}

}  // namespace ppvmm::net

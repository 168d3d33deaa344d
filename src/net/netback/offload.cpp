#include "net/netback/offload.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace ppvmm::net {
namespace {

constexpr std::uint16_t kTcpChecksumAt = 16;
constexpr std::uint16_t kUdpChecksumAt = 6;
constexpr std::size_t kTcpSequenceAt = 4;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPush = 0x08;
constexpr std::uint8_t kCongestionReduced = 0x80;
constexpr std::size_t kIpv4LengthAt = 2;
constexpr std::size_t kIpv4IdAt = 4;
constexpr std::size_t kIpv4ChecksumAt = 10;
constexpr std::size_t kIpv6LengthAt = 4;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::uint8_t kTcp = 6;

/// Sum of a frame's bytes from `from` on.
std::uint64_t sum_from(const Frame& frame, std::size_t from) {
  std::uint64_t sum = 0;
  bool odd = false;
  std::size_t at = 0;
  for (const Fragment& fragment : frame.fragments()) {
    auto bytes = std::span<const std::byte>(frame.bytes(fragment));
    const std::size_t skip = from > at ? std::min<std::size_t>(from - at, bytes.size()) : 0;
    at += bytes.size();
    bytes = bytes.subspan(skip);
    if (bytes.empty()) continue;
    if (odd) {
      sum += std::to_integer<std::uint64_t>(bytes[0]);
      bytes = bytes.subspan(1);
    }
    sum = sum_of(bytes, sum);
    odd = bytes.size() % 2 != 0;
  }
  return sum;
}

void put16(Frame& frame, std::size_t at, std::uint16_t value) {
  std::array<std::byte, 2> bytes;
  store16(bytes, 0, value);
  (void)frame.copy_in(at, bytes);
}

bool copy_bytes(const Frame& from, std::size_t at, Frame& to, std::size_t to_at,
                std::size_t count) {
  std::array<std::byte, 512> piece;
  while (count > 0) {
    const std::size_t now = std::min(count, piece.size());
    if (from.copy_out(at, {piece.data(), now}) != now) return false;
    if (to.copy_in(to_at, {piece.data(), now}) != now) return false;
    at += now;
    to_at += now;
    count -= now;
  }
  return true;
}

/// Sum of the pseudo header over a TCP segment (RFC 9293, section 3.1; RFC 8200, section 8.1).
std::uint64_t pseudo_sum(std::span<const std::byte> headers, const PacketHeaders& at,
                         std::size_t segment) {
  const std::size_t addresses = at.network == Network::ipv4 ? 12 : 8;
  const std::size_t bytes = at.network == Network::ipv4 ? 8 : 32;
  std::uint64_t sum = sum_of(headers.subspan(at.network_start + addresses, bytes), 0);
  return sum + kTcp + segment;
}

/// One segment's headers, made from those of the whole.
void fix_headers(std::span<std::byte> headers, const PacketHeaders& at, std::size_t index,
                 std::size_t offset, std::size_t payload, bool last) {
  const std::size_t transport = at.transport_start;
  const std::size_t total = headers.size() - at.network_start + payload;
  if (at.network == Network::ipv4) {
    const auto ip = headers.subspan(at.network_start, transport - at.network_start);
    store16(ip, kIpv4LengthAt, static_cast<std::uint16_t>(total));
    store16(ip, kIpv4IdAt, static_cast<std::uint16_t>(load16(ip, kIpv4IdAt) + index));
    store16(ip, kIpv4ChecksumAt, 0);
    store16(ip, kIpv4ChecksumAt, static_cast<std::uint16_t>(~folded(sum_of(ip, 0))));
  } else {
    store16(headers, at.network_start + kIpv6LengthAt,
            static_cast<std::uint16_t>(total - kIpv6Bytes));
  }
  store32(headers, transport + kTcpSequenceAt,
          load32(headers, transport + kTcpSequenceAt) + static_cast<std::uint32_t>(offset));
  auto flags = std::to_integer<std::uint8_t>(headers[transport + kTcpFlagsAt]);
  if (!last) flags = static_cast<std::uint8_t>(flags & ~(kFin | kPush));
  if (index > 0) flags = static_cast<std::uint8_t>(flags & ~kCongestionReduced);
  headers[transport + kTcpFlagsAt] = static_cast<std::byte>(flags);
  const std::size_t segment = headers.size() - transport + payload;
  store16(headers, transport + kTcpChecksumAt, folded(pseudo_sum(headers, at, segment)));
}

Adapted segment(const Frame& frame, const PacketHeaders& at, BufferPool& pool,
                std::vector<Frame>& out) {
  const std::size_t header_bytes = at.payload_start;
  const std::size_t step = frame.offload().gso_size;
  if (at.transport != Transport::tcp || step == 0 || header_bytes > kHeaderBytes ||
      frame.length() <= header_bytes) {
    return Adapted::malformed;
  }
  const std::size_t payload = frame.length() - header_bytes;
  std::array<std::byte, kHeaderBytes> whole;
  (void)frame.copy_out(0, {whole.data(), header_bytes});
  const std::size_t before = out.size();
  std::size_t index = 0;
  for (std::size_t offset = 0; offset < payload; offset += step, ++index) {
    const std::size_t now = std::min(step, payload - offset);
    Frame piece = pool.frame_of(header_bytes + now);
    if (!piece) {
      out.resize(before);
      return Adapted::no_memory;
    }
    std::array<std::byte, kHeaderBytes> mine = whole;
    fix_headers({mine.data(), header_bytes}, at, index, offset, now, offset + now == payload);
    (void)piece.copy_in(0, {mine.data(), header_bytes});
    (void)copy_bytes(frame, header_bytes + offset, piece, header_bytes, now);
    piece.tag() = frame.tag();
    piece.offload() = {.checksum_blank = true,
                       .data_validated = true,
                       .gso = Gso::none,
                       .gso_size = 0,
                       .checksum_start = at.transport_start,
                       .checksum_offset = kTcpChecksumAt};
    complete_checksum(piece, at);
    out.push_back(std::move(piece));
  }
  return Adapted::replaced;
}

}  // namespace

std::uint64_t sum_of(std::span<const std::byte> bytes, std::uint64_t sum) {
  std::size_t at = 0;
  for (; at + 2 <= bytes.size(); at += 2)
    sum += load16(bytes, at);
  if (at < bytes.size()) sum += std::to_integer<std::uint64_t>(bytes[at]) << 8;
  return sum;
}

std::uint16_t folded(std::uint64_t sum) {
  while (sum >> 16 != 0)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

bool locate_checksum(Frame& frame, const PacketHeaders& headers) {
  Offload& offload = frame.offload();
  if (headers.transport == Transport::other) return false;
  if (offload.gso != Gso::none) {
    const Network wanted = offload.gso == Gso::tcp_v4 ? Network::ipv4 : Network::ipv6;
    if (headers.transport != Transport::tcp || headers.network != wanted) return false;
    if (frame.length() <= headers.payload_start) return false;
    offload.checksum_blank = true;
  }
  const bool tcp = headers.transport == Transport::tcp;
  offload.checksum_start = headers.transport_start;
  offload.checksum_offset = tcp ? kTcpChecksumAt : kUdpChecksumAt;
  return true;
}

void complete_checksum(Frame& frame, const PacketHeaders& headers) {
  Offload& offload = frame.offload();
  std::uint16_t sum = static_cast<std::uint16_t>(~folded(sum_from(frame, offload.checksum_start)));
  // For UDP, all zeroes would say that there is no checksum (RFC 768).
  if (sum == 0 && headers.transport == Transport::udp) sum = 0xFFFF;
  put16(frame, std::size_t{offload.checksum_start} + offload.checksum_offset, sum);
  offload.checksum_blank = false;
}

bool takes(const Abilities& abilities, const Frame& frame) {
  const Offload& offload = frame.offload();
  if (offload.gso != Gso::none) {
    return offload.gso == Gso::tcp_v4 ? abilities.gso_v4 : abilities.gso_v6;
  }
  if (!offload.checksum_blank || (abilities.checksum_v4 && abilities.checksum_v6)) return true;
  return headers_of(frame).network == Network::ipv6 ? abilities.checksum_v6 : abilities.checksum_v4;
}

Adapted adapt(const Frame& frame, const Abilities& abilities, BufferPool& pool,
              std::vector<Frame>& out) {
  if (takes(abilities, frame)) return Adapted::as_is;
  const Offload& offload = frame.offload();
  const PacketHeaders headers = headers_of(frame);
  if (offload.gso != Gso::none) return segment(frame, headers, pool, out);
  Frame copy = pool.frame_of(frame.length());
  if (!copy) return Adapted::no_memory;
  (void)copy_bytes(frame, 0, copy, 0, frame.length());
  copy.offload() = offload;
  copy.tag() = frame.tag();
  complete_checksum(copy, headers);
  out.push_back(std::move(copy));
  return Adapted::replaced;
}

}  // namespace ppvmm::net

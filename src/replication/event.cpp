#include "replication/event.hpp"

#include <cstring>

#include "abi/checksum.hpp"
#include "store/digest.hpp"

namespace ppvmm::replication {
namespace {

struct WireSettlement {
  std::uint16_t domid;
  std::uint16_t reserved;
  std::uint32_t bytes;
};
static_assert(sizeof(WireSettlement) == 8);

struct WireRing {
  std::uint64_t gfn;
  std::uint32_t port;
  std::uint32_t request_base;
  std::uint32_t response_base;
  std::uint8_t result;
  std::uint8_t reserved[3];
};
static_assert(sizeof(WireRing) == 24);

/// Bytes of a record of `length` bytes of payload.
constexpr std::size_t padded(std::size_t length) {
  return (sizeof(RecordHead) + length + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

/// Reads `T` from the front of `bytes` and shortens it; false at the end.
template <class T>
bool take(std::span<const std::byte>& bytes, T& item) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&item, bytes.data(), sizeof(T));
  bytes = bytes.subspan(sizeof(T));
  return true;
}

bool has_ring(Event::Kind kind) {
  return kind == Event::Kind::introduced || kind == Event::Kind::connected ||
         kind == Event::Kind::resumed;
}

}  // namespace

std::uint64_t record_bound(std::size_t input_bytes) {
  return padded(kSettlementsMax * sizeof(WireSettlement) + sizeof(std::uint64_t) +
                std::max(input_bytes, sizeof(WireRing)));
}

std::uint64_t record_check(std::uint64_t key, std::uint64_t sequence,
                           std::span<const std::byte> checked) {
  return store::digest(checked.data(), checked.size(), abi::mix(key, sequence));
}

void encode(std::uint64_t key, std::uint64_t sequence, const Event& event,
            std::span<const Settlement> settlements, std::vector<std::byte>& record) {
  std::size_t length = settlements.size() * sizeof(WireSettlement);
  if (event.kind == Event::Kind::input) length += sizeof event.in_before + event.bytes.size();
  if (has_ring(event.kind)) length += sizeof(WireRing);
  record.resize(padded(length));
  // The vector is used again and again: what was there must not pass for padding.
  std::memset(record.data() + record.size() - kRecordAlignment, 0, kRecordAlignment);
  std::byte* to = record.data() + sizeof(RecordHead);
  const auto put = [&to](const void* from, std::size_t size) {
    std::memcpy(to, from, size);
    to += size;
  };
  for (const Settlement& settlement : settlements) {
    const WireSettlement wire{settlement.domid, 0, settlement.bytes};
    put(&wire, sizeof wire);
  }
  if (event.kind == Event::Kind::input) {
    put(&event.in_before, sizeof event.in_before);
    if (!event.bytes.empty()) put(event.bytes.data(), event.bytes.size());
  } else if (has_ring(event.kind)) {
    const WireRing wire{event.ring.gfn,
                        event.ring.port,
                        event.ring.request_base,
                        event.ring.response_base,
                        static_cast<std::uint8_t>(event.result),
                        {}};
    put(&wire, sizeof wire);
  }
  const RecordHead head{.sequence = sequence,
                        .check = 0,
                        .now_ms = event.now_ms,
                        .length = static_cast<std::uint32_t>(length),
                        .domid = event.domid,
                        .kind = static_cast<std::uint8_t>(event.kind),
                        .deltas = static_cast<std::uint8_t>(settlements.size())};
  std::memcpy(record.data(), &head, sizeof head);
  const std::uint64_t check = record_check(
      key, sequence, std::span{record}.first(sizeof head + length).subspan(kCheckedOffset));
  std::memcpy(record.data() + offsetof(RecordHead, check), &check, sizeof check);
}

std::optional<Decoded> decode(std::span<const std::byte> record) {
  RecordHead head{};
  if (!take(record, head) || record.size() < head.length) return std::nullopt;
  auto payload = record.first(head.length);

  Decoded decoded;
  decoded.sequence = head.sequence;
  Event& event = decoded.event;
  event.kind = static_cast<Event::Kind>(head.kind);
  event.domid = head.domid;
  event.now_ms = head.now_ms;
  if (event.kind < Event::Kind::input || event.kind > Event::Kind::resumed) return std::nullopt;

  decoded.settlements.reserve(head.deltas);
  for (unsigned i = 0; i < head.deltas; ++i) {
    WireSettlement settlement{};
    if (!take(payload, settlement)) return std::nullopt;
    decoded.settlements.push_back({settlement.domid, settlement.bytes});
  }
  if (event.kind == Event::Kind::input) {
    if (!take(payload, event.in_before) || payload.empty()) return std::nullopt;
    event.bytes = payload;
    return decoded;
  }
  if (has_ring(event.kind)) {
    WireRing ring{};
    if (!take(payload, ring)) return std::nullopt;
    event.ring = {ring.gfn, ring.port, ring.request_base, ring.response_base};
    event.result = static_cast<store::IntroduceResult>(ring.result);
    if (event.result > store::IntroduceResult::bad_port) return std::nullopt;
  }
  if (!payload.empty()) return std::nullopt;
  return decoded;
}

}  // namespace ppvmm::replication

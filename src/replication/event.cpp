#include "replication/event.hpp"

#include <cstring>

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

template <class T>
void put(std::vector<std::byte>& out, const T& item) {
  const auto bytes = std::as_bytes(std::span{&item, 1});
  out.insert(out.end(), bytes.begin(), bytes.end());
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
  return kind == Event::Kind::introduced || kind == Event::Kind::connected;
}

}  // namespace

std::uint64_t record_bound(std::size_t input_bytes) {
  return padded(kSettlementsMax * sizeof(WireSettlement) + sizeof(std::uint64_t) +
                std::max(input_bytes, sizeof(WireRing)));
}

std::uint64_t record_check(std::uint64_t key, const RecordHead& head,
                           std::span<const std::byte> payload) {
  const std::uint64_t words[] = {head.sequence, head.now_ms,
                                 (std::uint64_t{head.length} << 32) |
                                     (std::uint64_t{head.domid} << 16) |
                                     (std::uint64_t{head.kind} << 8) | head.deltas};
  return store::digest(payload.data(), payload.size(), store::digest(words, sizeof words, key));
}

void encode(std::uint64_t key, std::uint64_t sequence, const Event& event,
            std::span<const Settlement> settlements, std::vector<std::byte>& record) {
  record.assign(sizeof(RecordHead), std::byte{});
  for (const Settlement& settlement : settlements) {
    put(record, WireSettlement{settlement.domid, 0, settlement.bytes});
  }
  if (event.kind == Event::Kind::input) {
    put(record, event.in_before);
    record.insert(record.end(), event.bytes.begin(), event.bytes.end());
  } else if (has_ring(event.kind)) {
    put(record, WireRing{event.ring.gfn,
                         event.ring.port,
                         event.ring.request_base,
                         event.ring.response_base,
                         static_cast<std::uint8_t>(event.result),
                         {}});
  }
  RecordHead head{.sequence = sequence,
                  .check = 0,
                  .now_ms = event.now_ms,
                  .length = static_cast<std::uint32_t>(record.size() - sizeof(RecordHead)),
                  .domid = event.domid,
                  .kind = static_cast<std::uint8_t>(event.kind),
                  .deltas = static_cast<std::uint8_t>(settlements.size())};
  head.check = record_check(key, head, std::span{record}.subspan(sizeof head));
  std::memcpy(record.data(), &head, sizeof head);
  record.resize(padded(head.length));
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
  if (event.kind < Event::Kind::input || event.kind > Event::Kind::tick) return std::nullopt;

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

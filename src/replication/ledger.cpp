#include "replication/ledger.hpp"

#include <algorithm>
#include <cstring>

#include "store/wire.hpp"

namespace ppvmm::replication {
namespace {

/// A seat as it lies in a checkpoint.
struct WireSeat {
  std::uint64_t epoch;
  std::uint64_t gfn;
  std::uint64_t in;
  std::uint64_t settled;
  std::uint32_t port;
  std::uint32_t request_base;
  std::uint32_t response_base;
  std::uint32_t slot;
  std::uint32_t missing;
  std::uint16_t domid;
  std::uint16_t reserved;
};
static_assert(sizeof(WireSeat) == 56);

constexpr auto kByDomid = [](const Seat& seat, DomId domid) { return seat.domid < domid; };

}  // namespace

void Seat::took(std::uint64_t before, std::span<const std::byte> bytes) {
  in = before + bytes.size();
  if (missing == 0 && bytes.size() >= sizeof(store::MessageHeader)) {
    store::MessageHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    // A payload over the limit breaks the connection: nothing of it is awaited.
    if (header.length <= store::kPayloadMax) {
      missing = static_cast<std::uint32_t>(sizeof header) + header.length;
    }
  }
  missing -= std::min(missing, static_cast<std::uint32_t>(bytes.size()));
}

Seat* Ledger::find(DomId domid) {
  const auto at = std::lower_bound(seats_.begin(), seats_.end(), domid, kByDomid);
  return at != seats_.end() && at->domid == domid ? &*at : nullptr;
}

Seat* Ledger::add(DomId domid, std::uint64_t epoch, const Event::Ring& ring) {
  if (full()) return nullptr;
  // Lowest free slot: the same on every replica, whatever came and went before.
  std::uint32_t slot = 0;
  const auto taken = [&] {
    return std::any_of(seats_.begin(), seats_.end(),
                       [&](const Seat& seat) { return seat.slot == slot; });
  };
  while (taken())
    ++slot;
  const auto at = std::lower_bound(seats_.begin(), seats_.end(), domid, kByDomid);
  return &*seats_.insert(at, Seat{.domid = domid,
                                  .slot = slot,
                                  .epoch = epoch,
                                  .ring = ring,
                                  .in = 0,
                                  .settled = 0,
                                  .missing = 0});
}

void Ledger::remove(DomId domid) {
  if (Seat* seat = find(domid)) seats_.erase(seats_.begin() + (seat - seats_.data()));
}

void Ledger::expect_attach(const PendingAttach& attach) {
  pending_.push_back(attach);
}

std::optional<PendingAttach> Ledger::settle_attach(DomId domid) {
  const auto at = std::find_if(pending_.begin(), pending_.end(),
                               [&](const PendingAttach& one) { return one.domid == domid; });
  if (at == pending_.end()) return std::nullopt;
  const PendingAttach attach = *at;
  pending_.erase(at);
  return attach;
}

void Ledger::write(std::vector<std::byte>& out) const {
  for (const Seat& seat : seats_) {
    const WireSeat wire{.epoch = seat.epoch,
                        .gfn = seat.ring.gfn,
                        .in = seat.in,
                        .settled = seat.settled,
                        .port = seat.ring.port,
                        .request_base = seat.ring.request_base,
                        .response_base = seat.ring.response_base,
                        .slot = seat.slot,
                        .missing = seat.missing,
                        .domid = seat.domid,
                        .reserved = 0};
    const auto bytes = std::as_bytes(std::span{&wire, 1});
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
}

std::optional<Ledger> Ledger::read(std::span<const std::byte> bytes, std::uint32_t slots) {
  if (bytes.size() % sizeof(WireSeat) != 0) return std::nullopt;
  Ledger ledger{slots};
  std::vector<bool> taken(slots);
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(WireSeat))) {
    WireSeat wire{};
    std::memcpy(&wire, bytes.data(), sizeof wire);
    const bool ascending = ledger.seats_.empty() || ledger.seats_.back().domid < wire.domid;
    if (!ascending || wire.slot >= slots || taken[wire.slot]) {
      return std::nullopt;
    }
    taken[wire.slot] = true;
    ledger.seats_.push_back(
        Seat{.domid = wire.domid,
             .slot = wire.slot,
             .epoch = wire.epoch,
             .ring = {wire.gfn, wire.port, wire.request_base, wire.response_base},
             .in = wire.in,
             .settled = wire.settled,
             .missing = wire.missing});
  }
  return ledger;
}

}  // namespace ppvmm::replication

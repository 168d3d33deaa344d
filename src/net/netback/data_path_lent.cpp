// From guest to guest without a stop: of a packet whose way leads to another guest only the first
// piece, in which its headers are, is copied in. The others stay *lent* in their sender's pages,
// which it cannot take back before it is answered, and Xen copies them from grant to grant.
//
// Whether a packet goes to a guest is known when its headers are here. Copying those alone first
// would cost all others a second hypercall, so a queue lends when the packet before went to a
// guest; where that was wrong the rest is fetched, and the next one is copied whole again.
//
// What was judged is what is delivered: the headers are ours. The payload is the sender's own until
// the receiver has it, and nothing here looks at it: who needs its bytes (the wire, a flood, a
// receiver that wants checksums or segments made) gets the packet after it was fetched.
#include <array>
#include <utility>

#include "net/netback/data_path.hpp"
#include "net/netback/frame_tag.hpp"

namespace ppvmm::net {

/// Its sender, if that is still the one whose grants are meant.
Vif* DataPath::lender_of(const Frame& frame) const {
  const Origin origin = origin_of(frame.tag());
  if (origin.port >= kPortsMax || !vifs_[origin.port]) return nullptr;
  Vif& vif = *vifs_[origin.port];
  return vif.generation == origin.generation && origin.queue < vif.queues.size() ? &vif : nullptr;
}

void DataPath::learn_lending(std::uint64_t tag, const Decision& decision) {
  if (decision.verdict != Verdict::unicast) return;
  const Origin origin = origin_of(tag);
  vifs_[origin.port]->queues[origin.queue].lends = decision.port != kWire;
}

/// Nobody on its way needs more than its headers.
bool DataPath::may_stay_lent(const Frame& frame, const Decision& decision) const {
  switch (decision.verdict) {
    case Verdict::unicast:
      return decision.port != kWire && takes(vifs_[decision.port]->settings.abilities, frame);
    case Verdict::flood:
      return false;
    case Verdict::local:
    case Verdict::same:
    case Verdict::spoofed:
    case Verdict::runt:
      return true;  // it goes nowhere
  }
  return false;
}

/// Copies all that is lent into our buffers. If it cannot be done, the frame's sender has its
/// answer and the frame is of no use any more.
bool DataPath::fetch(Frame& frame) {
  const Vif* const lender = lender_of(frame);
  std::array<GrantCopy, kFragmentsMax> copies;
  std::size_t count = 0;
  const auto pieces = frame.fragments().size();
  for (std::size_t i = 0; i < pieces; ++i) {
    const Fragment piece = frame.fragments()[i];
    if (!piece.lent()) continue;
    Buffer buffer = pool_->take();
    if (lender == nullptr || !buffer) {
      ++statistics_.lent_lost;
      end(frame.tag(), TxStatus::dropped);
      return false;
    }
    copies[count++] = {.domid = lender->settings.domid,
                       .direction = GrantCopy::Direction::from_guest,
                       .failed = false,
                       .guest_offset = piece.offset,
                       .buffer_offset = 0,
                       .length = piece.length,
                       .lender = 0,
                       .grant = piece.grant(),
                       .buffer = buffer.index()};
    static_cast<void>(frame.settle(i, std::move(buffer)));
  }
  ++statistics_.fetched;
  statistics_.copies += count;
  const auto wanted = std::span(copies).first(count);
  copier_->copy(wanted);
  if (std::ranges::none_of(wanted, &GrantCopy::failed)) return true;
  const PortId port = origin_of(frame.tag()).port;
  refused(port, *vifs_[port]);
  end(frame.tag(), TxStatus::error);
  return false;
}

/// Headers that may not lie in the first piece as a whole are fetched, with all the rest. False as
/// in fetch().
bool DataPath::fetch_headers(Frame& frame, PacketHeaders& headers) {
  const std::uint16_t here = frame.fragments().front().length;
  const bool found = headers.transport != Transport::other && headers.payload_start <= here;
  if (found || here >= kHeaderBytes) return true;
  if (!fetch(frame)) return false;
  headers = headers_of(frame);
  return true;
}

/// Xen does not say which of two grants it refused. What failed is copied once more by way of a
/// buffer of ours, so that the right one of the two guests is blamed.
void DataPath::copy_by_way(Outgoing& outgoing) {
  for (GrantCopy& copy : std::span(copies_).subspan(outgoing.first_copy, outgoing.copies)) {
    if (!copy.failed || copy.direction != GrantCopy::Direction::between_guests) continue;
    const Buffer way = pool_->take();
    if (!way) {
      if (outgoing.blame == Blame::receiver) outgoing.blame = Blame::nobody;
      continue;
    }
    GrantCopy in = copy;
    in.direction = GrantCopy::Direction::from_guest;
    in.domid = copy.lender;
    in.grant = copy.buffer;
    in.guest_offset = copy.buffer_offset;
    in.buffer_offset = 0;
    in.buffer = way.index();
    copier_->copy({&in, 1});
    if (in.failed) {
      outgoing.blame = Blame::lender;
      continue;
    }
    GrantCopy out = copy;
    out.direction = GrantCopy::Direction::to_guest;
    out.buffer_offset = 0;
    out.buffer = way.index();
    copier_->copy({&out, 1});
    copy.failed = out.failed;
  }
}

/// Xen refused a grant that the guest had put into its ring.
void DataPath::refused(PortId port, Vif& vif) {
  ++vif.statistics.tx_errors;
  if (++vif.statistics.tx_bad_grants >= limits_.bad_grants) offend(port, vif, Hostile::bad_grants);
}

}  // namespace ppvmm::net

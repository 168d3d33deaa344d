// The primary at the rings: how a request is taken, and how an answer becomes visible.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "replication/primary.hpp"
#include "store/ring.hpp"
#include "store/wire.hpp"

namespace ppvmm::replication {
namespace {

using store::kRingBytes;
using store::MessageHeader;
using store::MessageType;

/// True if executing the request can change nothing but the connection's output. Whatever is not
/// known to be a read is not one. A read inside a transaction adds to what the transaction has
/// seen, on which its end depends.
bool is_read(const MessageHeader& header) {
  switch (header.type) {
    case MessageType::read:
    case MessageType::directory:
    case MessageType::directory_part:
    case MessageType::get_perms:
      return header.transaction_id == 0;
    case MessageType::get_domain_path:
    case MessageType::is_domain_introduced:
      return true;
    default:
      return false;
  }
}

/// Where the first byte that is not consumed yet lies, or lay before it was held.
std::uint32_t request_index(const Seat& seat) {
  return seat.ring.request_base + static_cast<std::uint32_t>(seat.in);
}

}  // namespace

Primary::Run Primary::run(std::uint64_t budget) {
  std::size_t stuck = 0;
  while (!queue_.empty()) {
    if (corrupt()) return Run::corrupt;
    if (stuck >= queue_.size()) return Run::log_full;
    if (budget-- == 0) return Run::more;
    const DomId domid = queue_.front();
    queue_.erase(queue_.begin());
    Link* one = link(domid);
    if (one == nullptr) continue;
    one->queued = false;
    const Turn result = turn(*one);
    // turn() may have added and removed links.
    one = link(domid);
    if (result != Turn::done && one != nullptr) enqueue(*one);
    stuck = result == Turn::log_full ? stuck + 1 : 0;
  }
  return corrupt() ? Run::corrupt : Run::idle;
}

Primary::Turn Primary::turn(Link& one) {
  one.round = round_;
  Seat* seat = replica_.ledger().find(one.domid);
  if (seat == nullptr) return Turn::done;
  if (one.ring.reconnect_requested()) {
    return commit_fact(Event::Kind::reconnect, one.domid) ? Turn::again : Turn::log_full;
  }
  if (machine().broken(one.conn)) return Turn::done;
  if (one.condemned != 0) return fail(one, *seat, one.condemned);
  publish_logged(one, *seat);
  if (one.condemned != 0) return fail(one, *seat, one.condemned);
  return take_input(one, *seat);
}

bool Primary::doubtful(const Link& one, const Seat& seat) {
  constexpr DomId kDom0 = 0;
  const Doubt doubt{one.domid, seat.in};
  if (set_.members() == 0) return false;
  const bool believed =
      one.domid == kDom0 ? seen_before_ == doubt : options_.whole == nullptr || options_.whole();
  if (believed) return false;
  doubt_ = doubt;
  return true;
}

Primary::Turn Primary::fail(Link& one, const Seat& seat, std::uint32_t error) {
  if (doubtful(one, seat)) return Turn::log_full;
  const DomId domid = one.domid;
  if (!commit_fact(Event::Kind::failed, domid)) return Turn::log_full;
  if (Link* still = link(domid)) {
    still->given_up = machine().broken(still->conn);
    still->ring.report(error);
    still->notify = true;
  }
  set_.report({Report::Kind::connection_failed, 0, domid});
  return Turn::done;
}

Primary::Turn Primary::take_input(Link& one, Seat& seat) {
  const auto waits = waiting(one, seat);
  if (!waits) return fail(one, seat, XENSTORE_ERROR_RINGIDX);

  Event event;
  event.kind = Event::Kind::input;
  event.domid = one.domid;
  event.in_before = seat.in;

  bool read = false;
  std::size_t size = seat.missing;
  if (size == 0) {
    if (*waits < sizeof(MessageHeader)) return hold(one, seat, *waits);
    MessageHeader header;
    peek(one, seat, 0, std::as_writable_bytes(std::span{&header, 1}));
    // A payload over the limit: the header alone tells the machine that the client is broken.
    const bool oversized = header.length > store::kPayloadMax;
    if (oversized && doubtful(one, seat)) return Turn::log_full;
    size = sizeof header + (oversized ? 0 : header.length);
    read = is_read(header) && size <= kRingBytes;
  }
  // What fits the queue is taken whole, and what does not in pieces of the queue's size.
  size = std::min(size, kRingBytes);
  if (*waits < size) return hold(one, seat, *waits);
  input_.resize(size);
  peek(one, seat, 0, input_);
  event.bytes = input_;
  return read ? take_read(one, seat, event) : take_logged(one, event);
}

// --- A request that is not whole yet

std::span<const std::byte> Primary::held(const Link& one, const Seat& seat) {
  return one.held_at == seat.in ? std::span<const std::byte>{one.held}
                                : std::span<const std::byte>{};
}

std::uint32_t Primary::consumed(const Link& one, const Seat& seat) {
  return request_index(seat) + static_cast<std::uint32_t>(held(one, seat).size());
}

std::optional<std::uint32_t> Primary::consumed(DomId domid) {
  const Link* const one = link(domid);
  const Seat* const seat = replica_.ledger().find(domid);
  if (one == nullptr || seat == nullptr) return std::nullopt;
  return consumed(*one, *seat);
}

std::optional<std::uint32_t> Primary::waiting(const Link& one, const Seat& seat) {
  const auto ahead = static_cast<std::uint32_t>(held(one, seat).size());
  const auto queued = one.ring.waiting(consumed(one, seat));
  if (!queued) return std::nullopt;
  return ahead + *queued;
}

void Primary::peek(const Link& one, const Seat& seat, std::size_t offset,
                   std::span<std::byte> out) {
  const auto ahead = held(one, seat);
  if (offset < ahead.size()) {
    const std::size_t count = std::min(out.size(), ahead.size() - offset);
    std::ranges::copy(ahead.subspan(offset, count), out.begin());
    out = out.subspan(count);
    offset += count;
  }
  one.ring.read(request_index(seat) + static_cast<std::uint32_t>(offset), out);
}

void Primary::find_held(Link& one, const Seat& seat) {
  one.held_at = seat.in;
  one.held.clear();
  auto found = one.ring.held();
  if (found && found->index == request_index(seat)) one.held = std::move(found->bytes);
}

// Linux announces what it writes only if all that was there before has been consumed (xb_write), so
// what is not whole must not stay in the queue: nobody would tell us of the rest. `count` bytes of
// it are here.
Primary::Turn Primary::hold(Link& one, const Seat& seat, std::uint32_t count) {
  const std::uint32_t at = request_index(seat);
  const auto before = static_cast<std::uint32_t>(held(one, seat).size());
  if (before == count) return Turn::done;
  one.held_at = seat.in;
  one.held.resize(count);
  const auto more = std::span{one.held}.subspan(before);
  one.ring.read(at + before, more);
  one.ring.hold(at, before, more);
  one.ring.set_consumed(at + count);
  // Either the writer sees that, or we see what it wrote: one more look. A writer that found the
  // queue full before waits to be told.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (one.ring.waiting(at + before).value_or(kRingBytes) == kRingBytes) one.notify = true;
  return Turn::again;
}

std::uint64_t Primary::lose_requests() {
  std::uint64_t lost = 0;
  for (Link& one : links_) {
    Seat* const seat = replica_.ledger().find(one.domid);
    // One of which a part was taken is in the log, and cannot be lost any more.
    if (seat == nullptr || one.condemned != 0 || seat->missing != 0 ||
        one.ring.reconnect_requested()) {
      continue;
    }
    const std::uint32_t waits = waiting(one, *seat).value_or(0);
    std::uint32_t whole = 0;
    MessageHeader header;
    while (waits - whole >= sizeof header) {
      peek(one, *seat, whole, std::as_writable_bytes(std::span{&header, 1}));
      if (header.length > waits - whole - sizeof header) break;
      whole += static_cast<std::uint32_t>(sizeof header) + header.length;
      ++lost;
    }
    if (whole != 0) publish(one, *seat, {}, whole, 0);
  }
  return lost;
}

Primary::Turn Primary::take_logged(Link& one, Event& event) {
  const DomId domid = one.domid;
  const auto taken = commit(event);
  if (!taken) return Turn::log_full;
  Link* still = link(domid);
  Seat* seat = replica_.ledger().find(domid);
  if (*taken == 0 || still == nullptr || seat == nullptr) return Turn::done;
  if (machine().broken(still->conn)) {
    still->given_up = true;
    still->ring.report(XENSTORE_ERROR_PROTO);
    still->notify = true;
    set_.report({Report::Kind::connection_failed, 0, domid});
    return Turn::done;
  }
  publish_logged(*still, *seat);
  consume(*still, *seat);
  return Turn::again;
}

Primary::Turn Primary::take_read(Link& one, Seat& seat, Event& event) {
  // Room first: should the answer not fit the ring, the read is logged after all.
  if (!room_for(event.bytes.size())) return Turn::log_full;
  // Behind waiting answers it must wait too, and then its place in the order must be known.
  if (!machine().to_send(one.conn).empty()) return take_logged(one, event);

  const std::size_t taken = machine().receive(one.conn, event.bytes);
  if (corrupt()) return Turn::log_full;  // the answer must not leave
  if (taken == 0) return Turn::done;
  const auto answer = machine().to_send(one.conn);
  const auto room = one.ring.room(seat.ring.response_base + static_cast<std::uint32_t>(one.out));
  if (room && answer.size() <= *room && taken == event.bytes.size()) {
    publish(one, seat, answer, taken, 0);
    machine().sent(one.conn, answer.size());
    return Turn::again;
  }
  // It cannot be answered in one instant. The log gets the request, from which every replica makes
  // the same answer, so what is half sent can be finished by anyone.
  event.bytes = event.bytes.first(taken);
  event.now_ms = logged_ms_;
  replica_.executed_unlogged(event);
  log(event);
  after_event();
  publish_logged(one, seat);
  consume(one, seat);
  return Turn::again;
}

void Primary::publish_logged(Link& one, Seat& seat) {
  while (true) {
    const auto waiting = machine().to_send(one.conn);
    if (waiting.empty()) return;
    const auto room = one.ring.room(seat.ring.response_base + static_cast<std::uint32_t>(one.out));
    if (!room) {
      one.condemned = XENSTORE_ERROR_RINGIDX;
      return;
    }
    if (*room == 0) return;
    const std::size_t count = std::min<std::size_t>(*room, waiting.size());
    publish(one, seat, waiting.first(count), 0, count);
    machine().sent(one.conn, count);
    seat.settled += count;
    one.unsettled += static_cast<std::uint32_t>(count);
  }
}

void Primary::publish(Link& one, Seat& seat, std::span<const std::byte> bytes,
                      std::uint64_t in_count, std::uint64_t logged_count) {
  one.ring.write(seat.ring.response_base + static_cast<std::uint32_t>(one.out), bytes);
  Intent intent{};
  intent.serial = ++one.serial;
  intent.epoch = seat.epoch;
  intent.in_after = seat.in + in_count;
  intent.out_after = one.out + bytes.size();
  intent.logged_after = one.logged + logged_count;
  intent.in_count = static_cast<std::uint32_t>(in_count);
  intent.out_count = static_cast<std::uint32_t>(bytes.size());
  intent.logged_count = static_cast<std::uint32_t>(logged_count);
  intent.domid = one.domid;
  set_.intend(seat.slot, intent);

  // This store is the instant at which it happens: before it nothing is visible to the guest, and
  // a reborn primary sees in this index whether it was done.
  one.out += bytes.size();
  one.ring.set_produced(seat.ring.response_base + static_cast<std::uint32_t>(one.out));
  one.logged += logged_count;
  seat.in += in_count;
  consume(one, seat);
}

void Primary::consume(Link& one, const Seat& seat) {
  one.ring.set_consumed(consumed(one, seat));
  one.notify = true;
}

}  // namespace ppvmm::replication

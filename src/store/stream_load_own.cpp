// Our own records (docs/xenstore-stream.md): they complete what the format's records began.
#include <algorithm>

#include "store/path.hpp"
#include "store/stream_loader.hpp"
#include "store/stream_records.hpp"

namespace ppvmm::store::stream {
namespace {

// Bounds for amounts that are only ever added to: far above what can be, far below overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
constexpr std::uint64_t kMostMilliseconds = std::uint64_t{1} << 50;

std::unexpected<StreamError> bad() {
  return std::unexpected{StreamError::bad_record};
}

bool is_sane(std::int64_t amount) {
  return amount >= -kMostBytes && amount <= kMostBytes;
}

}  // namespace

Outcome Loader::take_own(const Record& record) {
  const Fields fields{record.body};
  switch (static_cast<OwnRecord>(record.type)) {
    case OwnRecord::machine:
      return take_machine(fields);
    case OwnRecord::generations:
      return take_generations(fields);
    case OwnRecord::connection:
      return take_connection_state(fields);
    case OwnRecord::domain:
      return take_domain_state(fields);
    case OwnRecord::transaction:
      return take_transaction_state(fields);
    case OwnRecord::transaction_node:
      return take_transaction_node(fields);
    case OwnRecord::transaction_access:
      return take_access(fields);
  }
  return {};  // of a later version of ours, which may be skipped
}

Outcome Loader::take_machine(Fields fields) {
  State& state = *state_;
  state.generation = fields.u64();
  state.now_ms = fields.u64();
  const std::int64_t reserve = fields.i64();
  next_connection_ = fields.u32();
  state.next_ticket_serial = fields.u32();
  state.trace = fields.u64() != 0;
  state.memory_refusals = fields.u64();
  for (std::uint64_t Statistics::*counter : kCounters)
    state.counters.*counter = fields.u64();
  for (std::uint64_t& refusals : state.refusals)
    refusals = fields.u64();
  if (!fields.complete() || reserve < 0 || !is_sane(reserve)) return bad();
  if (state.now_ms > kMostMilliseconds || state.next_ticket_serial == 0) return bad();
  state.throttle.restore_reserve(reserve);
  return {};
}

Outcome Loader::take_generations(Fields fields) {
  constexpr std::size_t kBytesPerNode = 2 * sizeof(std::uint64_t);
  if (transaction_ != nullptr) return bad();  // snapshots share nodes with the tree
  if (fields.left() != state_->ledger.nodes() * kBytesPerNode) return bad();
  state_->tree.restore_generations([&](std::uint64_t& value, std::uint64_t& children) {
    value = fields.u64();
    children = fields.u64();
  });
  return {};
}

Outcome Loader::take_connection_state(Fields fields) {
  Connection* const client = connection(fields.u32());
  if (client == nullptr) return std::unexpected{StreamError::dangling};
  const std::uint32_t flags = fields.u32();
  client->broken = (flags & kConnectionBroken) != 0;
  client->stalled = (flags & kConnectionStalled) != 0;
  client->next_transaction_id = fields.u32();
  const std::size_t sent = fields.u32();
  const std::size_t tickets = fields.u32();
  const std::size_t unused = fields.u32();
  const std::size_t messages = fields.u32();
  (void)fields.u32();
  if (fields.left() / sizeof(std::uint32_t) < tickets) return bad();

  client->tickets.assign(tickets, {});
  for (Ticket& ticket : client->tickets)
    ticket.serial = fields.u32();
  const auto is_free = [](const Ticket& ticket) { return ticket.serial == 0; };
  if (unused != static_cast<std::size_t>(std::ranges::count_if(client->tickets, is_free))) {
    return bad();
  }
  std::vector<bool> listed(tickets);
  client->free_tickets.clear();
  for (std::size_t i = 0; i < unused; ++i) {
    const std::uint32_t index = fields.u32();
    if (index >= tickets || listed[index] || !is_free(client->tickets[index])) return bad();
    listed[index] = true;
    client->free_tickets.push_back(index);
  }
  client->outstanding = static_cast<std::uint32_t>(tickets - unused);

  OutputQueue& output = client->output;
  if (messages != output.messages().size()) return bad();
  for (std::size_t i = 0; i < messages; ++i) {
    const std::uint64_t deadline = fields.u64();
    const ConnId requester{fields.u32()};
    const std::uint32_t ticket = fields.u32();
    const std::uint32_t serial = fields.u32();
    if (deadline > 2 * kMostMilliseconds) return bad();
    output.restore_detail(i, deadline,
                          {.requester = requester, .ticket = ticket, .serial = serial});
  }
  if (!fields.complete()) return bad();
  if (sent > 0) {
    if (!output.restore_sent(sent)) return bad();
    state_->charge(*client, static_cast<std::int64_t>(sent));
    state_->buffers.output += static_cast<std::int64_t>(sent);
  }
  return {};
}

Outcome Loader::take_domain_state(Fields fields) {
  constexpr std::size_t kIntroductionBytes = 12;
  const DomId domid = fields.u16();
  const std::uint16_t flags = fields.u16();
  Domain& domain = state_->domains.find_or_make(domid);
  domain.shut_down = (flags & kDomainShutDown) != 0;
  domain.memory_warned = (flags & kDomainMemoryWarned) != 0;
  domain.throttle_logged = (flags & kDomainThrottleLogged) != 0;
  domain.reintroduction = (flags & kDomainReintroduction) != 0;
  domain.port = fields.u32();
  domain.gfn = fields.u64();
  domain.write_credit = fields.i64();
  domain.credit_updated_ms = fields.u64();
  for (std::uint64_t& refusals : domain.refusals)
    refusals = fields.u64();
  if (!fields.ok() || !is_sane(domain.write_credit)) return bad();
  if (domain.credit_updated_ms > kMostMilliseconds || !domain.introductions.empty()) return bad();
  while (fields.left() >= kIntroductionBytes) {
    const std::uint32_t id = fields.u32();
    Connection* const client = connection(id);
    if (client == nullptr) return std::unexpected{StreamError::dangling};
    client->waiting = true;
    domain.introductions.push_back(
        {.client = client->id, .request_id = fields.u32(), .transaction_id = fields.u32()});
    // Whoever was asked to attach the domain is gone; the new shell is asked again.
    domain.attach_requested = true;
    state_->effects.push_back({.kind = Effect::Kind::attach_domain,
                               .domid = domid,
                               .gfn = domain.gfn,
                               .port = domain.port});
  }
  if (!fields.complete()) return bad();
  return {};
}

Outcome Loader::take_transaction_state(Fields fields) {
  client_ = connection(fields.u32());
  transaction_ = client_ == nullptr ? nullptr : client_->find_transaction(fields.u32());
  if (transaction_ == nullptr) return std::unexpected{StreamError::dangling};
  if (!transaction_->doomed) return std::unexpected{StreamError::duplicate};
  transaction_->doomed = (fields.u32() & kTransactionDoomed) != 0;
  (void)fields.u32();
  const std::int64_t charge = fields.i64();
  const std::int64_t records = fields.i64();
  if (!is_sane(charge) || !is_sane(records)) return bad();
  state_->charge(*client_, charge - transaction_->charge);
  state_->buffers.transactions += records - transaction_->records_charge;
  transaction_->charge = charge;
  transaction_->records_charge = records;
  while (fields.left() >= 2 * sizeof(std::uint64_t)) {
    const std::uint64_t domid = fields.u64();
    const std::int64_t count = fields.i64();
    if (domid > 0xffff || !is_sane(count)) return bad();
    transaction_->owned.emplace_back(static_cast<DomId>(domid), count);
  }
  if (!fields.complete()) return bad();
  transaction_->base = state_->tree.snapshot();
  transaction_->view.reset(transaction_->base);
  stage_ = Stage::base;
  return {};
}

bool Loader::is_current(Fields& fields) const {
  const std::uint32_t client = fields.u32();
  const std::uint32_t id = fields.u32();
  return transaction_ != nullptr && !transaction_->doomed && client_->id == ConnId{client} &&
         transaction_->id == id;
}

Outcome Loader::take_transaction_node(Fields fields) {
  if (!is_current(fields)) return std::unexpected{StreamError::dangling};
  const Generations generations{fields.u64(), fields.u64()};
  const auto side = static_cast<Side>(fields.u8());
  const auto change = static_cast<Change>(fields.u8());
  const std::size_t path_length = fields.u16();
  const std::size_t value_length = fields.u16();
  const std::size_t permissions = fields.u16();
  const auto node = read_node(fields, path_length, value_length, permissions);
  if (!node) return std::unexpected{node.error()};
  if (change != Change::put && change != Change::removed) return bad();
  const bool removed = change == Change::removed;
  if (side == Side::base && stage_ == Stage::base) {
    Tree base{state_->heap, transaction_->base};
    const Outcome outcome = change_tree(base, *node, generations, removed);
    if (!outcome) return outcome;
    transaction_->base = base.snapshot();
    transaction_->view.reset(transaction_->base);
    return {};
  }
  if (side != Side::view || stage_ == Stage::accesses) return bad();
  stage_ = Stage::view;
  return change_tree(transaction_->view, *node, generations, removed);
}

Outcome Loader::change_tree(Tree& tree, const NodeContents& node, Generations generations,
                            bool removed) {
  const bool top_level = node.path == "/" || node.path.starts_with('@');
  const std::string_view needed = removed ? node.path : parent_path(node.path);
  const bool given =
      node.path == "/" || node.path == kIntroduceDomain || node.path == kReleaseDomain;
  if (top_level ? removed || !given : tree.find(needed).node == nullptr) {
    return std::unexpected{StreamError::dangling};
  }
  if (removed) {
    tree.erase(node.path, state_->generation);
    return {};
  }
  if (!node.permissions) return bad();
  tree.restore(node.path, node.value, node.permissions, generations.value, generations.children);
  return {};
}

Outcome Loader::take_access(Fields fields) {
  if (!is_current(fields)) return std::unexpected{StreamError::dangling};
  const std::uint16_t flags = fields.u16();
  const std::size_t path_length = fields.u16();
  const std::string_view path = fields.terminated(path_length);
  if (!fields.complete() || !is_canonical(path)) return bad();
  if (transaction_->find(path) != nullptr) return std::unexpected{StreamError::duplicate};
  (void)transaction_->touch(path, flags);
  stage_ = Stage::accesses;
  return {};
}

}  // namespace ppvmm::store::stream

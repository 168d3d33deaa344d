// Machine::load(), and the records of the format itself (docs/designs/xenstore-migration.md).
#include <algorithm>
#include <array>
#include <cstring>

#include "store/path.hpp"
#include "store/stream_loader.hpp"
#include "store/stream_records.hpp"

namespace ppvmm::store {
namespace stream {
namespace {

constexpr DomId kFirstReservedDomid = 0x7FF0;  // public/xen.h, DOMID_FIRST_RESERVED
constexpr std::uint16_t kUniqueIdPresent = 1;  // CONNECTION_DATA, fields

std::unexpected<StreamError> bad() {
  return std::unexpected{StreamError::bad_record};
}

bool is_top_level(std::string_view path) {
  return path == "/" || path.starts_with('@');
}

}  // namespace

Loader::Loader(Options options)
    : state_{std::make_unique<State>(std::move(options))}, appender_{state_->tree} {
  // A new state has some nodes already. The root and the special nodes there must always be; of
  // the others the stream knows.
  state_->tree.erase("/tool", state_->generation);
}

Outcome Loader::take(const Record& record) {
  const Fields fields{record.body};
  Outcome outcome;
  if (static_cast<RecordType>(record.type) != RecordType::node_data) appender_.close();
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::connection_data:
      outcome = take_connection(fields);
      break;
    case RecordType::watch_data:
      outcome = take_watch(fields);
      break;
    case RecordType::transaction_data:
      outcome = take_transaction(fields);
      break;
    case RecordType::node_data:
      outcome = take_node(fields);
      break;
    case RecordType::global_quota_data:
      outcome = take_quotas(fields);
      break;
    case RecordType::global_data:  // descriptors of another process
    case RecordType::domain_data:  // quotas of single domains, which this server does not have
      break;
    default:
      if (record.type < kOwnRecords) return std::unexpected{StreamError::unknown_record};
      outcome = take_own(record);
      break;
  }
  if (!outcome) return outcome;
  const std::uint64_t limit = state_->options.memory_limit;
  if (limit != 0 && static_cast<std::uint64_t>(state_->memory_in_use()) > limit) {
    return std::unexpected{StreamError::over_quota};
  }
  return {};
}

Outcome Loader::take_quotas(Fields fields) {
  const std::size_t count = std::size_t{fields.u16()} + fields.u16();
  Fields values{fields.bytes(count * sizeof(std::uint32_t))};
  for (std::size_t i = 0; i < count && fields.ok(); ++i) {
    const std::uint32_t value = values.u32();
    const std::string_view name = fields.terminated();
    const auto known = std::ranges::find(kQuotaNames, name, &QuotaName::name);
    if (known != kQuotaNames.end()) state_->options.quotas.*(known->field) = value;
  }
  if (!fields.complete()) return bad();
  return {};
}

Outcome Loader::take_connection(Fields fields) {
  const std::uint32_t id = fields.u32();
  const auto type = static_cast<ConnectionType>(fields.u16());
  const std::uint16_t extra = fields.u16();
  if (type != ConnectionType::ring && type != ConnectionType::socket) return bad();
  const bool ring = type == ConnectionType::ring;
  const DomId domid = ring ? fields.u16() : DomId{0};
  const DomId target = ring ? fields.u16() : kNoTarget;
  std::uint32_t port = fields.u32();
  if (!ring) port = fields.u32();  // behind the descriptor: padding
  const std::size_t input_length = fields.u16();
  const std::size_t partial = fields.u16();
  const std::size_t output_length = fields.u32();
  const auto input = fields.bytes(input_length);
  const auto output = fields.bytes(output_length);
  if ((extra & kUniqueIdPresent) != 0) {
    fields.skip_padding();
    (void)fields.u64();
  }
  if (!fields.complete() || id == 0 || id == ~std::uint32_t{0}) return bad();
  if (domid >= kFirstReservedDomid) return bad();
  if (connection(id) != nullptr) return std::unexpected{StreamError::duplicate};

  state_->next_connection = id;
  Connection* client = nullptr;
  if (ring) {
    Domain& domain = state_->domains.find_or_make(domid);
    if (domain.connection != nullptr) return std::unexpected{StreamError::duplicate};
    domain.port = port;
    client = &state_->attach(domain);
    if (target != kNoTarget) client->target = target;
  } else {
    client = &state_->add_connection(0, nullptr);
  }
  // Streams of other servers need not be sorted, but the state is.
  auto& all = state_->connections;
  const auto place = std::ranges::upper_bound(all.begin(), all.end() - 1, client->id, {},
                                              [](const auto& other) { return other->id; });
  std::rotate(place, all.end() - 1, all.end());
  return fill(*client, input, output, partial);
}

Outcome Loader::fill(Connection& client, std::span<const std::byte> input,
                     std::span<const std::byte> output, std::size_t partial) {
  // A complete message would have been answered: input is the beginning of one.
  MessageHeader header;
  if (input.size() >= sizeof header) {
    std::memcpy(&header, input.data(), sizeof header);
    if (header.length > kPayloadMax || input.size() >= sizeof header + header.length) return bad();
  }
  client.partial.assign(input.begin(), input.end());
  const std::uint64_t deadline =
      client.privileged() ? 0 : state_->now_ms + state_->options.quotas.event_expiry_ms;
  if (!client.output.restore(output, partial, deadline)) return bad();
  const auto size = static_cast<std::int64_t>(output.size());
  state_->charge(client, size);
  state_->buffers.output += size;
  return {};
}

Outcome Loader::take_watch(Fields fields) {
  Connection* const client = connection(fields.u32());
  const std::size_t path_length = fields.u16();
  const std::size_t token_length = fields.u16();
  const std::string_view given = fields.terminated(path_length);
  const std::string_view token = fields.terminated(token_length);
  if (!fields.complete()) return bad();
  if (client == nullptr) return std::unexpected{StreamError::dangling};
  const bool relative = !given.starts_with('/') && !given.starts_with('@');
  const std::string path =
      relative ? domain_path(client->domid) + '/' + std::string{given} : std::string{given};
  if (!is_canonical(path)) return bad();
  if (state_->watches.find(*client, path, token) != nullptr) {
    return std::unexpected{StreamError::duplicate};
  }
  (void)state_->add_watch(*client, path, token, relative);
  return {};
}

Outcome Loader::take_transaction(Fields fields) {
  Connection* const client = connection(fields.u32());
  const std::uint32_t id = fields.u32();
  if (!fields.complete() || id == 0) return bad();
  if (client == nullptr) return std::unexpected{StreamError::dangling};
  if (client->find_transaction(id) != nullptr) return std::unexpected{StreamError::duplicate};
  // Without our own records its snapshot is not known; then it must be done again, which the
  // protocol allows at any time.
  state_->begin_transaction(*client, id).doomed = true;
  return {};
}

std::expected<PermissionRef, StreamError> Loader::read_permissions(
    std::span<const std::byte> bytes) {
  if (bytes.empty()) return PermissionRef{};
  if (std::ranges::equal(bytes, permission_bytes_)) return permissions_;
  std::vector<Permission> entries;
  for (Fields fields{bytes}; fields.left() > 0;) {
    const char letter = static_cast<char>(fields.u8());
    const std::uint8_t flags = fields.u8();
    const DomId domid = fields.u16();
    const auto known = std::ranges::find(kAccessLetters, letter);
    if (known == kAccessLetters.end()) return bad();
    if ((flags & kStalePermission) != 0 && !entries.empty()) continue;
    entries.push_back({domid, static_cast<std::uint8_t>(known - kAccessLetters.begin())});
  }
  permission_bytes_ = bytes;
  permissions_ = state_->permissions.intern(entries);
  return permissions_;
}

std::expected<Loader::NodeContents, StreamError> Loader::read_node(Fields& fields,
                                                                   std::size_t path_length,
                                                                   std::size_t value_length,
                                                                   std::size_t permissions) {
  const auto listed = fields.bytes(permissions * kPermissionBytes);
  NodeContents node;
  node.path = fields.terminated(path_length);
  node.value = fields.text(value_length);
  if (!fields.complete() || node.value.size() > kPayloadMax) return bad();
  node.next_in_order = appender_.fits(node.path);
  if (!node.next_in_order && !is_canonical(node.path)) return bad();
  auto list = read_permissions(listed);
  if (!list) return std::unexpected{list.error()};
  node.permissions = std::move(*list);
  return node;
}

Outcome Loader::take_node(Fields fields) {
  NodeHead head{};
  const auto bytes = fields.bytes(sizeof head);
  if (bytes.size() != sizeof head) return bad();
  std::memcpy(&head, bytes.data(), sizeof head);
  const auto node = read_node(fields, head.path_length, head.value_length, head.permissions);
  if (!node) return std::unexpected{node.error()};
  if (head.connection == 0) return add_committed(*node);
  const Connection* const owner = connection(head.connection);
  if (owner == nullptr || owner->find_transaction(head.transaction) == nullptr) {
    return std::unexpected{StreamError::dangling};
  }
  return {};
}

Outcome Loader::add_committed(const NodeContents& node) {
  if (!node.permissions || transaction_ != nullptr) return bad();  // snapshots come last
  if (node.next_in_order) {
    appender_.append(node.path, node.value, node.permissions, state_->generation);
    return {};
  }
  appender_.close();
  const bool exists = state_->tree.find(node.path).node != nullptr;
  if (exists) {
    // Only the nodes that every state has may be there, and only once.
    const std::array<std::string_view, 3> given{"/", kIntroduceDomain, kReleaseDomain};
    const auto known = std::ranges::find(given, node.path);
    if (known == given.end() || std::ranges::find(given_seen_, *known) != given_seen_.end()) {
      return std::unexpected{StreamError::duplicate};
    }
    given_seen_.push_back(*known);
  } else if (is_top_level(node.path) ||  // the root and the special nodes are there already
             state_->tree.find(parent_path(node.path)).node == nullptr) {
    return std::unexpected{StreamError::dangling};
  }
  state_->tree.restore(node.path, node.value, node.permissions, state_->generation,
                       state_->generation);
  appender_.open(node.path);
  return {};
}

Outcome Loader::match_tickets() {
  for (const auto& holder : state_->connections) {
    for (const OutputQueue::Message& message : holder->output.messages()) {
      const Cause& cause = message.cause;
      if (cause.serial == 0) continue;
      Connection* const requester = state_->find_connection(cause.requester);
      if (requester == nullptr || cause.ticket >= requester->tickets.size()) continue;
      Ticket& ticket = requester->tickets[cause.ticket];
      if (ticket.serial == cause.serial) ++ticket.messages;
    }
  }
  // A ticket that no message will give back would be lost for ever.
  const bool all_used = std::ranges::all_of(state_->connections, [](const auto& client) {
    return std::ranges::all_of(client->tickets, [](const Ticket& ticket) {
      return (ticket.serial == 0) == (ticket.messages == 0);
    });
  });
  if (!all_used) return bad();
  return {};
}

std::expected<std::unique_ptr<State>, StreamError> Loader::finish() {
  appender_.close();
  permissions_ = {};  // a list that no node has does not outlive the stream
  if (const Outcome outcome = match_tickets(); !outcome) return std::unexpected{outcome.error()};
  const auto& all = state_->connections;
  const std::uint32_t free = all.empty() ? 1 : static_cast<std::uint32_t>(all.back()->id) + 1;
  if (next_connection_ != 0 && next_connection_ < free) return bad();
  state_->next_connection = std::max(next_connection_, free);
  for (const auto& client : all) {
    for (const auto& transaction : client->transactions) {
      if (!transaction->doomed) continue;
      transaction->view.reset(state_->nothing.snapshot());
      transaction->base = state_->nothing.snapshot();
    }
    // The new shell knows nothing of what the old one was told.
    state_->mark_ready(*client);
  }
  return std::move(state_);
}

}  // namespace stream

std::expected<Machine, StreamError> Machine::load(Options options,
                                                  std::span<const std::byte> bytes) {
  auto reader = stream::Reader::open(bytes);
  if (!reader) return std::unexpected{reader.error()};
  stream::Loader loader{std::move(options)};
  while (true) {
    const auto record = reader->next();
    if (!record) return std::unexpected{record.error()};
    if (record->type == static_cast<std::uint32_t>(stream::RecordType::end)) break;
    if (const auto outcome = loader.take(*record); !outcome) {
      return std::unexpected{outcome.error()};
    }
  }
  if (!reader->at_end()) return std::unexpected{StreamError::bad_record};
  auto state = loader.finish();
  if (!state) return std::unexpected{state.error()};
  return Machine{std::move(*state)};
}

}  // namespace ppvmm::store

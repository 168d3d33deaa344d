// Answers and events on their way to clients.
#include <algorithm>

#include "store/state.hpp"

namespace ppvmm::store {
namespace {

// Unsent bytes of a privileged client that does not read its events: then it is given up.
constexpr std::size_t kPrivilegedBacklog = 8 << 20;

bool may_read(const Connection& client, const PermissionList* list) {
  return list != nullptr && (access_of(*list, client.domid, client.target) & Access::read) != 0;
}

}  // namespace

Cause State::take_ticket(Connection& client) {
  // Sockets and domain 0 have no limit of outstanding requests.
  if (client.privileged()) return {};
  std::uint32_t index = 0;
  if (client.free_tickets.empty()) {
    index = static_cast<std::uint32_t>(client.tickets.size());
    client.tickets.emplace_back();
  } else {
    index = client.free_tickets.back();
    client.free_tickets.pop_back();
  }
  const std::uint32_t serial = next_ticket_serial++;
  // Serial 0 means "nobody's" when the counter has gone round.
  if (next_ticket_serial == 0) next_ticket_serial = 1;
  client.tickets[index] = Ticket{.serial = serial, .messages = 0};
  ++client.outstanding;
  return {.requester = client.id, .ticket = index, .serial = serial};
}

void State::drop_ticket(Connection& client, std::uint32_t index) {
  client.tickets[index] = Ticket{};
  client.free_tickets.push_back(index);
  --client.outstanding;
  reconsider(client);
}

void State::message_left(Connection& client, const OutputQueue::Message& message) {
  const auto size = static_cast<std::int64_t>(message.size);
  charge(client, -size);
  buffers.output -= size;
  if (message.cause.serial == 0) return;
  Connection* requester = find_connection(message.cause.requester);
  if (requester == nullptr || message.cause.ticket >= requester->tickets.size()) return;
  Ticket& ticket = requester->tickets[message.cause.ticket];
  if (ticket.serial != message.cause.serial) return;
  if (--ticket.messages == 0) drop_ticket(*requester, message.cause.ticket);
}

std::span<char> State::answer(const Request& request, std::size_t size) {
  Connection& client = request.client;
  const MessageHeader header{.type = request.header.type,
                             .request_id = request.header.request_id,
                             .transaction_id = request.header.transaction_id,
                             .length = static_cast<std::uint32_t>(size)};
  const auto bytes = static_cast<std::int64_t>(sizeof(header) + size);
  charge(client, bytes);
  buffers.output += bytes;
  if (request.cause.serial != 0) ++client.tickets[request.cause.ticket].messages;
  mark_ready(client);
  return client.output.add_answer(header, request.cause);
}

void State::answer(const Request& request, std::string_view payload) {
  std::ranges::copy(payload, answer(request, payload.size()).begin());
}

void State::acknowledge(const Request& request) {
  answer(request, std::string_view("OK\0", 3));
}

void State::answer_error(const Request& request, Error error) {
  const MessageHeader header{.type = MessageType::error,
                             .request_id = request.header.request_id,
                             .transaction_id = request.header.transaction_id,
                             .length = 0};
  const Request failed{.client = request.client,
                       .header = header,
                       .payload = request.payload,
                       .transaction = nullptr,
                       .cause = request.cause};
  const std::string_view text = error_text(error);
  const std::span<char> payload = answer(failed, text.size() + 1);
  *std::ranges::copy(text, payload.begin()).out = '\0';
}

void State::send_event(Connection& client, std::string_view path, std::string_view token,
                       Cause cause) {
  const std::size_t length = path.size() + token.size() + 2;
  if (client.broken || length > kPayloadMax) return;
  // The client will look at the node after it has read the event that waits already; special
  // events carry no node to look at, so each one counts.
  if (!path.starts_with('@') && client.output.has_event(path, token)) return;
  const auto bytes = static_cast<std::int64_t>(sizeof(MessageHeader) + length);
  if (!may_grow(client, bytes, "a watch event")) return;
  if (client.privileged() && client.output.size() > kPrivilegedBacklog) {
    break_connection(client, "it does not read its watch events");
    return;
  }
  std::uint64_t deadline = 0;
  if (!client.privileged() && options.quotas.event_expiry_ms != 0) {
    deadline = now_ms + options.quotas.event_expiry_ms;
  }
  if (cause.serial != 0) {
    ++find_connection(cause.requester)->tickets[cause.ticket].messages;
  }
  client.output.add_event(path, token, deadline, cause);
  charge(client, bytes);
  buffers.output += bytes;
  ++counters.events_fired;
  mark_ready(client);
}

void State::fire(std::string_view path, Reach reach, const PermissionList* node,
                 const PermissionList* parent, const PermissionList* before, Cause cause) {
  watches.match(path, reach, matches_);
  for (const Watch* watch : matches_) {
    Connection& client = *watch->connection;
    if (client.privileged() || may_read(client, node) || may_read(client, parent) ||
        may_read(client, before)) {
      send_event(client, watch->shown(path), watch->token, cause);
    }
  }
}

void State::fire_special(std::string_view name) {
  const Node* node = tree.find(name).node;
  fire(name, Reach::exact, node->permissions.get(), nullptr, nullptr, {});
}

void State::bytes_sent(Connection& connection, std::size_t count) {
  connection.output.sent(
      std::min(count, connection.output.size()),
      [&](const OutputQueue::Message& message) { message_left(connection, message); });
  reconsider(connection);
}

void State::expire_events(Connection& connection) {
  std::uint64_t expired = 0;
  connection.output.expire(now_ms, [&](const OutputQueue::Message& message) {
    message_left(connection, message);
    ++expired;
  });
  if (expired == 0) return;
  counters.events_expired += expired;
  const auto at = std::find_if(kQuotaNames.begin(), kQuotaNames.end(), [](const QuotaName& quota) {
    return quota.field == &Quotas::event_expiry_ms;
  });
  const auto index = static_cast<std::size_t>(at - kQuotaNames.begin());
  refusals[index] += expired;
  if (connection.domain != nullptr) connection.domain->refusals[index] += expired;
  log(LogRecord::Level::warning,
      "domain " + std::to_string(connection.domid) + " left " + std::to_string(expired) +
          " watch events unread for too long: dropped (event-expiry-ms)");
}

}  // namespace ppvmm::store

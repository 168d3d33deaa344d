#include "differential/peer_server.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "differential/wire.hpp"
#include "store/quota.hpp"

namespace ppvmm::differential {
namespace {

using std::string_view_literals::operator""sv;

/// A request that every server answers and that changes nothing.
constexpr std::string_view kPing = "0\0"sv;

Deadline limit() {
  return std::chrono::steady_clock::now() + std::chrono::seconds{3};
}

/// xenstored lets a domain have one watch and one transaction more than it is told.
peers::PeerLimits limits_for(peers::PeerKind kind, const Limits& limits) {
  const store::Quotas defaults;
  const auto either = [](std::uint32_t value, std::uint32_t standard) {
    return value == 0 ? standard : value;
  };
  const std::uint32_t extra = kind == peers::PeerKind::xenstored ? 1 : 0;
  return {.nodes = either(limits.nodes, defaults.nodes),
          .watches = either(limits.watches, defaults.watches) - extra,
          .transactions = either(limits.transactions, defaults.transactions) - extra,
          .node_size = either(limits.node_size, defaults.node_size),
          .path_length = {}};
}

}  // namespace

PeerServer::PeerServer(peers::PeerKind kind, const Limits& limits, const peers::PeerFiles& files)
    : kind_{kind},
      socket_{host_.directory() / "socket"},
      peer_{kind, host_, socket_, limits_for(kind, limits), files} {
  probe_.channel = SocketChannel::connect(socket_);
  if (!probe_.channel) throw std::runtime_error(std::string(name()) + " refuses connections");
}

void PeerServer::open(Actor actor) {
  if (auto channel = SocketChannel::connect(socket_)) clients_[actor].channel = std::move(channel);
}

void PeerServer::close(Actor actor) {
  clients_.erase(actor);
  // The daemon sees the end of file in the same round of its loop that answers this, or earlier:
  // both descriptors are ready when it polls next.
  ping(probe_);
}

void PeerServer::attached(std::uint16_t domid) {
  Client& client = clients_[{Actor::Kind::domain, domid}];
  client.channel = std::make_unique<RingChannel>(host_, domid);
  client.received.clear();
  client.state = Transfer::done;
}

void PeerServer::detached(std::uint16_t domid) {
  clients_.erase({Actor::Kind::domain, domid});
}

Answer PeerServer::ask(Actor actor, std::uint32_t type, std::uint32_t transaction,
                       std::string_view payload) {
  const auto client = clients_.find(actor);
  if (client == clients_.end()) return {};
  Answer answer = converse(client->second, type, transaction, payload);
  if (answer.kind == Answer::Kind::closed) clients_.erase(client);
  return answer;
}

Answer PeerServer::converse(Client& client, std::uint32_t type, std::uint32_t transaction,
                            std::string_view payload) {
  const auto request = send(client, type, transaction, payload);
  return await(client, request);
}

std::uint32_t PeerServer::send(Client& client, std::uint32_t type, std::uint32_t transaction,
                               std::string_view payload) {
  const std::uint32_t request = ++last_request_;
  if (client.state == Transfer::done)
    client.state = client.channel->send(encoded(type, request, transaction, payload),
                                        client.received, limit());
  return request;
}

Answer PeerServer::await(Client& client, std::uint32_t request) {
  for (const Deadline deadline = limit();;) {
    while (auto message = take_message(client.received)) {
      if (message->header.type == XS_WATCH_EVENT && message->header.req_id == 0)
        client.events.push_back(std::move(message->payload));
      else if (message->header.req_id == request)
        return {.kind = Answer::Kind::reply,
                .type = message->header.type,
                .payload = std::move(message->payload)};
    }
    if (client.state != Transfer::done) break;
    client.state = client.channel->receive(client.received, deadline);
  }
  const bool closed = client.state == Transfer::closed;
  return {.kind = closed ? Answer::Kind::closed : Answer::Kind::none, .type = 0, .payload = {}};
}

void PeerServer::ping(Client& client) {
  converse(client, XS_GET_DOMAIN_PATH, 0, kPing);
}

void PeerServer::settle() {
  // A daemon queues the events of a request before its answer, so a later answer on the same
  // connection comes after them.
  std::vector<std::pair<Client*, std::uint32_t>> sent;
  for (auto& [actor, client] : clients_)
    sent.emplace_back(&client, send(client, XS_GET_DOMAIN_PATH, 0, kPing));
  for (const auto& [client, request] : sent)
    await(*client, request);
}

std::vector<Event> PeerServer::take_events(Actor actor) {
  const auto client = clients_.find(actor);
  return client == clients_.end() ? std::vector<Event>{} : std::exchange(client->second.events, {});
}

void PeerServer::await_dom_exc() {
  // The daemon takes one event per round of its loop, and every ping makes it go round.
  do
    ping(probe_);
  while (host_.dom_exc_pending() && probe_.state == Transfer::done && ended().empty());
  ping(probe_);
}

void PeerServer::shut_down(std::uint16_t domid, bool crash) {
  host_.shut_down(domid, crash);
  await_dom_exc();
}

void PeerServer::destroy(std::uint16_t domid) {
  clients_.erase({Actor::Kind::domain, domid});
  host_.destroy(domid);
  await_dom_exc();
}

}  // namespace ppvmm::differential

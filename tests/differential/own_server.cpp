#include "differential/own_server.hpp"

#include <span>
#include <utility>

#include "differential/wire.hpp"

namespace ppvmm::differential {
namespace {

store::Options options_for(const Limits& limits) {
  store::Options options;
  const auto set = [](std::uint32_t value, std::uint32_t& quota) {
    if (value != 0) quota = value;
  };
  set(limits.nodes, options.quotas.nodes);
  set(limits.watches, options.quotas.watches);
  set(limits.transactions, options.quotas.transactions);
  set(limits.node_size, options.quotas.node_size);
  return options;
}

}  // namespace

OwnServer::OwnServer(const Limits& limits) : machine_{options_for(limits)} {
  machine_.connect_domain(0, 0, 1);
}

void OwnServer::open(Actor actor) {
  clients_[actor].conn = machine_.connect_socket();
}

void OwnServer::close(Actor actor) {
  if (const auto client = clients_.find(actor); client != clients_.end()) {
    machine_.disconnect(client->second.conn);
    clients_.erase(client);
  }
  turn();
}

void OwnServer::attached(std::uint16_t domid) {
  if (const auto conn = machine_.connection_of(domid)) {
    Client& client = clients_[{Actor::Kind::domain, domid}];
    client.conn = *conn;
    client.received.clear();
  }
}

void OwnServer::detached(std::uint16_t domid) {
  clients_.erase({Actor::Kind::domain, domid});
}

Answer OwnServer::ask(Actor actor, std::uint32_t type, std::uint32_t transaction,
                      std::string_view payload) {
  const auto found = clients_.find(actor);
  if (found == clients_.end()) return {};
  Client& client = found->second;
  const std::uint32_t request = ++last_request_;
  const std::string bytes = encoded(type, request, transaction, payload);
  const auto view = std::as_bytes(std::span{bytes});
  // Time runs fast, so that the throttling of writers that conflict never holds a client up.
  machine_.advance(now_ms_ += 1000);
  const std::size_t taken = machine_.receive(client.conn, view);
  turn();
  if (machine_.broken(client.conn)) {
    clients_.erase(found);
    return {.kind = Answer::Kind::closed, .type = 0, .payload = {}};
  }
  while (auto message = take_message(client.received)) {
    if (message->header.type == XS_WATCH_EVENT && message->header.req_id == 0)
      client.events.push_back(std::move(message->payload));
    else if (message->header.req_id == request && taken == bytes.size())
      return {.kind = Answer::Kind::reply,
              .type = message->header.type,
              .payload = std::move(message->payload)};
  }
  return {.kind = Answer::Kind::none, .type = 0, .payload = {}};
}

void OwnServer::turn() {
  for (auto effects = machine_.take_effects(); !effects.empty();
       effects = machine_.take_effects()) {
    for (const store::Effect& effect : effects) {
      Guest& guest = guests_[effect.domid];
      switch (effect.kind) {
        case store::Effect::Kind::attach_domain: {
          using Result = store::IntroduceResult;
          Result result = Result::attached;
          if (!guest.exists)
            result = Result::bad_ring;
          else if (guest.bound || guest.port != effect.port)
            result = Result::bad_port;
          guest.bound |= result == Result::attached;
          machine_.introduced(effect.domid, result);
          break;
        }
        case store::Effect::Kind::detach_domain:
          guest.bound = false;
          break;
        case store::Effect::Kind::reset_ring:
          break;
      }
    }
  }
  for (auto& [actor, client] : clients_)
    collect(client);
}

void OwnServer::collect(Client& client) {
  const auto waiting = machine_.to_send(client.conn);
  client.received.append(reinterpret_cast<const char*>(waiting.data()), waiting.size());
  machine_.sent(client.conn, waiting.size());
}

void OwnServer::settle() {
  turn();
}

std::vector<Event> OwnServer::take_events(Actor actor) {
  const auto found = clients_.find(actor);
  if (found == clients_.end()) return {};
  Client& client = found->second;
  while (auto message = take_message(client.received))
    if (message->header.type == XS_WATCH_EVENT)
      client.events.push_back(std::move(message->payload));
  return std::exchange(client.events, {});
}

void OwnServer::create(std::uint16_t domid) {
  Guest& guest = guests_[domid];
  guest.exists = true;
  ++guest.port;
}

void OwnServer::shut_down(std::uint16_t domid, bool) {
  machine_.domain_shutdown(domid);
  turn();
}

void OwnServer::destroy(std::uint16_t domid) {
  guests_[domid].exists = false;
  clients_.erase({Actor::Kind::domain, domid});
  machine_.domain_dead(domid);
  turn();
}

bool OwnServer::exists(std::uint16_t domid) const {
  const auto guest = guests_.find(domid);
  return guest != guests_.end() && guest->second.exists;
}

std::uint32_t OwnServer::offered_port(std::uint16_t domid) const {
  const auto guest = guests_.find(domid);
  return guest == guests_.end() ? 0 : guest->second.port;
}

}  // namespace ppvmm::differential

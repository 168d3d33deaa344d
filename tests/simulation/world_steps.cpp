/// What can happen in one step.
#include <algorithm>

#include "simulation/failure.hpp"
#include "simulation/ring_server.hpp"
#include "simulation/world.hpp"
#include "store/path.hpp"

namespace ppvmm::simulation {
namespace {

using What = Request::What;

constexpr std::size_t kMostAsked = 6;
constexpr std::size_t kPipeBytes = 4096;

template <class Container>
void drop_front(Container& bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

void World::step() {
  const std::size_t what = random_.below(1000);
  Guest& guest = random_.pick(guests_);
  Socket& socket = random_.pick(sockets_);
  if (what < 200) {
    act(guest.client);
  } else if (what < 300) {
    act(socket.client);
  } else if (what < 400) {
    guest_writes(guest, random_.some(store::kRingBytes));
  } else if (what < 550) {
    serve_guest(guest);
  } else if (what < 700) {
    guest_reads(guest, random_.some(store::kRingBytes));
  } else if (what < 750) {
    socket_writes(socket, random_.some(kPipeBytes));
  } else if (what < 820) {
    serve_socket(socket, random_.some(kPipeBytes));
  } else if (what < 880) {
    socket_reads(socket, random_.some(kPipeBytes));
  } else if (what < 970) {
    hostile_step(random_.pick(hostiles_));
  } else if (what < 990) {
    pass_time(random_.below(5));
  } else if (what < 994) {
    build_or_kill(guest);
  } else if (what < 997) {
    reconnect_guest(guest);
  } else {
    reopen(socket);
  }
  absorb();
  check_limits();
}

void World::act(Client& client) {
  // Somebody who is not there asks nothing.
  const bool absent = std::ranges::any_of(guests_, [&](const Guest& guest) {
    return &guest.client == &client && (!guest.built || guest.reconnecting);
  });
  if (absent || client.asked.size() >= kMostAsked || client.holds_back()) return;
  client.ask(invent(random_, client, tokens_, domids_));
}

void World::guest_writes(Guest& guest, std::size_t most) {
  Bytes& bytes = guest.client.outgoing;
  if (!guest.built || guest.reconnecting || bytes.empty()) return;
  store::ClientRing ring{guest.page};
  const auto written = ring.requests.write(std::span{bytes}.first(std::min(most, bytes.size())));
  require(written.has_value(), guest.client.home + ": the server spoilt the ring's indexes");
  drop_front(bytes, *written);
  if (*written > 0) guest.kicked = true;
}

void World::guest_reads(Guest& guest, std::size_t most) {
  if (!guest.built || !guest.notified) return;
  store::ClientRing ring{guest.page};
  if (guest.reconnecting) {
    if (!ring.connected()) {
      guest.notified = false;
      return;
    }
    guest.reconnecting = false;
  }
  Bytes bytes(most);
  const auto count = ring.responses.peek(bytes);
  require(count.has_value(), guest.client.home + ": the server spoilt the ring's indexes");
  require(ring.error() == XENSTORE_ERROR_NONE,
          guest.client.home + ": an honest guest was given up");
  if (*count == 0) {
    guest.notified = false;
    return;
  }
  ring.responses.consume(*count);
  guest.kicked = true;
  bytes.resize(*count);
  remember(bytes);
  guest.client.hear(bytes);
}

void World::serve_guest(Guest& guest) {
  if (!guest.built || !guest.kicked) return;
  guest.kicked = false;
  const store::Statistics before = machine_.statistics();
  const std::uint32_t consumer = guest.page.req_cons;
  const std::uint32_t producer = guest.page.rsp_prod;
  store::ServerRing ring{guest.page};
  const Service service = serve(machine_, guest.domid, ring);
  guest.notified |= service.notify;
  guest.kicked |= service.again;
  const std::uint32_t taken = guest.page.req_cons - consumer;
  const std::uint32_t sent = guest.page.rsp_prod - producer;
  absorb();
  if (guest.reconnecting) return;
  guest.client.taken(taken,
                     [&](const Request& request) { execute(guest.client, request, before); });
  guest.client.sent_to += sent;
}

void World::socket_writes(Socket& socket, std::size_t most) {
  Bytes& from = socket.client.outgoing;
  const std::size_t room = kPipeBytes - std::min(kPipeBytes, socket.to_server.size());
  const std::size_t count = std::min({most, from.size(), room});
  socket.to_server.insert(socket.to_server.end(), from.begin(),
                          from.begin() + static_cast<std::ptrdiff_t>(count));
  drop_front(from, count);
}

void World::socket_reads(Socket& socket, std::size_t most) {
  const std::size_t count = std::min(most, socket.to_client.size());
  const Bytes bytes{socket.to_client.begin(),
                    socket.to_client.begin() + static_cast<std::ptrdiff_t>(count)};
  drop_front(socket.to_client, count);
  remember(bytes);
  socket.client.hear(bytes);
}

void World::serve_socket(Socket& socket, std::size_t most) {
  Client& client = socket.client;
  std::size_t sent = 0;
  const auto send = [&] {
    const auto waiting = machine_.to_send(socket.conn);
    const std::size_t room = kPipeBytes - std::min(kPipeBytes, socket.to_client.size());
    const auto part = waiting.first(std::min({most, room, waiting.size()}));
    socket.to_client.insert(socket.to_client.end(), part.begin(), part.end());
    sent += part.size();
    machine_.sent(socket.conn, part.size());
  };
  send();
  const store::Statistics before = machine_.statistics();
  std::size_t taken = 0;
  if (!socket.refused && !socket.to_server.empty()) {
    const std::size_t offered = std::min(most, socket.to_server.size());
    taken = machine_.receive(socket.conn, std::span{socket.to_server}.first(offered));
    socket.refused = taken < offered;
    drop_front(socket.to_server, taken);
  }
  require(!machine_.broken(socket.conn), "an honest socket client was given up");
  absorb();
  client.taken(taken, [&](const Request& request) { execute(client, request, before); });
  client.sent_to += sent;
}

void World::pass_time(std::uint64_t ms) {
  now_ms_ += ms;
  machine_.advance(now_ms_);
}

/// A domain's life as the toolstack leads it: home, rights, INTRODUCE; and its death, any time.
void World::build_or_kill(Guest& guest) {
  if (guest.domid == 0) return;
  if (guest.built) {
    guest.client.forget();
    guest.mapped = guest.built = guest.reconnecting = guest.kicked = guest.notified = false;
    machine_.domain_dead(guest.domid);
    std::vector<model::Change> changes;
    model::remove_domain(store_.tree, guest.domid, changes);
    ++store_.version;
    each_client([&](Client& client) {
      for (TransactionModel& transaction : client.transactions) {
        model::withdraw_rights(transaction.view, guest.domid);
        for (auto& done : transaction.steps)
          model::withdraw_rights(done.operation.permissions, guest.domid);
        transaction.rights_withdrawn = true;
      }
    });
    fire(changes);
    fire_special("@releaseDomain", true);
    return;
  }
  Client& toolstack = guests_.front().client;
  if (guest.building || toolstack.holds_back() || guests_.front().reconnecting) return;
  guest.building = true;
  const auto operation = [&](model::Operation::Kind kind, std::string path,
                             model::Permissions permissions) {
    Request request;
    request.operation = {kind, std::move(path), {}, std::move(permissions)};
    toolstack.ask(std::move(request));
  };
  using Kind = model::Operation::Kind;
  using store::Access;
  model::Permissions shared{{.domid = 0, .access = Access::none}};
  for (const DomId domid : domids_) {
    shared.push_back({domid, Access::read | Access::write});
  }
  operation(Kind::mkdir, "/shared", {});
  operation(Kind::set_permissions, "/shared", shared);
  operation(Kind::remove, guest.client.home, {});
  operation(Kind::mkdir, guest.client.home, {});
  operation(Kind::set_permissions, guest.client.home, {{guest.domid, Access::none}});
  Request introduce;
  introduce.what = What::introduce;
  introduce.domid = guest.domid;
  toolstack.ask(std::move(introduce));
}

void World::reconnect_guest(Guest& guest) {
  if (!guest.built || guest.reconnecting) return;
  store::ClientRing ring{guest.page};
  require(ring.request_reconnect(), "the server does not offer reconnection");
  // Only the server's half may still be under way; what it took was executed already.
  const bool introducing = std::ranges::any_of(
      guest.client.asked, [](const Request& r) { return r.what == What::introduce; });
  if (introducing) {
    for (Guest& other : guests_)
      other.building = false;
  }
  guest.client.forget();
  guest.reconnecting = true;
  guest.kicked = true;
}

void World::reopen(Socket& socket) {
  machine_.disconnect(socket.conn);
  socket.client.forget();
  socket.to_server.clear();
  socket.to_client.clear();
  socket.refused = false;
  socket.conn = machine_.connect_socket();
}

void World::hostile_step(Hostile& hostile) {
  const std::size_t what = random_.below(1000);
  const std::string id = std::to_string(hostile.domid);
  const std::string home = store::domain_path(hostile.domid);
  ++store_.version;  // whatever happens, it may write
  if (what < 3) {
    machine_.domain_dead(hostile.domid);
    hostile.attached = false;
    fire_special("@releaseDomain", false);
  } else if (what < 6) {
    machine_.domain_shutdown(hostile.domid);
    fire_special("@releaseDomain", false);
  } else if (what < 9) {
    crude(store::MessageType::release, id + '\0');
    fire_special("@releaseDomain", false);
  } else if (what < 20) {
    crude(store::MessageType::mkdir, home + '\0');
    crude(store::MessageType::set_perms, home + '\0' + 'n' + id + '\0');
    crude(store::MessageType::introduce, id + '\0' + "1" + '\0' + "9" + '\0');
    fire_special("@introduceDomain", false);
  } else if (hostile.attached) {
    if (random_.chance(70)) hostile.act(random_);
    store::ServerRing ring{hostile.page};
    (void)serve(machine_, hostile.domid, ring);
  }
}

}  // namespace ppvmm::simulation

#include "simulation/world.hpp"

#include <algorithm>

#include "simulation/failure.hpp"
#include "store/digest.hpp"
#include "store/path.hpp"
#include "store/stream_records.hpp"

namespace ppvmm::simulation {
namespace {

using store::MessageType;

constexpr std::uint64_t kMemoryLimit = 64 << 20;

store::Options options() {
  store::Options options;
  options.memory_limit = kMemoryLimit;
  return options;
}

/// What a transaction's own copies of nodes take depends on what they happen to share, and that is
/// not the same after loading: the amount may differ, nothing else.
bool same_record(const store::stream::Record& one, const store::stream::Record& other) {
  constexpr std::size_t kChargeAt = 16;
  constexpr std::size_t kChargeEnd = 24;
  if (one.body.size() != other.body.size()) return false;
  const bool transaction =
      one.type == static_cast<std::uint32_t>(store::stream::OwnRecord::transaction);
  for (std::size_t i = 0; i < one.body.size(); ++i) {
    if (transaction && i >= kChargeAt && i < kChargeEnd) continue;
    if (one.body[i] != other.body[i]) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> difference(std::span<const std::byte> one,
                                      std::span<const std::byte> other) {
  auto first = store::stream::Reader::open(one);
  auto second = store::stream::Reader::open(other);
  for (std::size_t number = 0; first && second; ++number) {
    const auto a = first->next();
    const auto b = second->next();
    if (!a || !b) break;
    if (a->type == b->type && same_record(*a, *b)) {
      if (first->at_end() && second->at_end()) return {};
      continue;
    }
    const auto at = std::ranges::mismatch(a->body, b->body).in1 - a->body.begin();
    return "record " + std::to_string(number) + ", type " + std::to_string(a->type) + " and " +
           std::to_string(b->type) + ", byte " + std::to_string(at) + " of " +
           std::to_string(a->body.size()) + " and " + std::to_string(b->body.size());
  }
  return "one is shorter";
}

World::World(std::uint64_t seed, const Plan& plan)
    : machine_{options()}, random_{seed}, crude_{machine_.connect_socket()} {
  // What the server makes by itself and what the toolstack makes at boot.
  store_.tree["/local"] = store_.tree["/local/domain"] = store_.tree["/"];
  for (std::size_t i = 0; i <= plan.guests; ++i) {
    const auto domid = static_cast<DomId>(i);
    Guest& guest = guests_.emplace_back();
    guest.domid = domid;
    guest.client = Client{{.domid = domid, .privileged = domid == 0}, store::domain_path(domid)};
    if (domid != 0) domids_.push_back(domid);
  }
  for (std::size_t i = 0; i < plan.sockets; ++i) {
    Socket& socket = sockets_.emplace_back();
    socket.client = Client{{.domid = 0, .privileged = true}, store::domain_path(0)};
    socket.conn = machine_.connect_socket();
  }
  for (std::size_t i = 0; i < plan.hostiles; ++i) {
    hostiles_.push_back({.domid = static_cast<DomId>(kFirstHostile + i)});
  }
  Guest& toolstack = guests_.front();
  machine_.connect_domain(0, 1, 1);
  store::ServerRing{toolstack.page}.advertise();
  toolstack.built = true;
  crude(MessageType::mkdir, std::string{"/local/domain"} + '\0');
  for (Guest& guest : guests_)
    build_or_kill(guest);
}

World::World(store::Machine machine, const World& other)
    : machine_{std::move(machine)},
      random_{other.random_},
      store_{other.store_},
      guests_{other.guests_},
      sockets_{other.sockets_},
      hostiles_{other.hostiles_},
      domids_{other.domids_},
      crude_{other.crude_},
      now_ms_{other.now_ms_},
      tokens_{other.tokens_},
      heard_{other.heard_} {}

World World::fork() const {
  const auto state = machine_.dump();
  auto copy = store::Machine::load(options(), state);
  require(copy.has_value(), "the machine refuses its own dump, reason " +
                                std::to_string(static_cast<int>(copy.error())));
  require(copy->dump() == state, "a dump changes when it is loaded and dumped again: " +
                                     difference(state, copy->dump()).value_or("an amount"));
  require(copy->tree_digest() == machine_.tree_digest(), "a loaded tree has another digest");
  return World{std::move(*copy), *this};
}

void World::reload() {
  *this = fork();
}

World::Guest* World::find_guest(DomId domid) {
  const auto found = std::ranges::find(guests_, domid, &Guest::domid);
  return found == guests_.end() ? nullptr : &*found;
}

Hostile* World::find_hostile(DomId domid) {
  const auto found = std::ranges::find(hostiles_, domid, &Hostile::domid);
  return found == hostiles_.end() ? nullptr : &*found;
}

/// What the machine asks of a shell, and whom it has something for.
void World::absorb() {
  for (const store::Effect& effect : machine_.take_effects()) {
    Guest* guest = find_guest(effect.domid);
    Hostile* hostile = find_hostile(effect.domid);
    switch (effect.kind) {
      case store::Effect::Kind::attach_domain:
        attach(effect);
        break;
      case store::Effect::Kind::detach_domain:
        if (hostile != nullptr) hostile->attached = false;
        break;
      case store::Effect::Kind::reset_ring:
        if (guest != nullptr) {
          store::ServerRing{guest->page}.reset();
          guest->notified = true;
        }
        if (hostile != nullptr) store::ServerRing{hostile->page}.reset();
        break;
    }
  }
  (void)machine_.take_log();
  for (const store::ConnId conn : machine_.take_ready()) {
    for (Guest& guest : guests_) {
      if (machine_.connection_of(guest.domid) == conn) guest.kicked = true;
    }
    for (Socket& socket : sockets_) {
      if (socket.conn == conn) socket.refused = false;
    }
  }
}

void World::attach(const store::Effect& effect) {
  if (Hostile* hostile = find_hostile(effect.domid)) {
    store::ServerRing ring{hostile->page};
    ring.advertise();
    ring.reset();
    hostile->attached = true;
  }
  if (Guest* guest = find_guest(effect.domid)) {
    guest->page = {};
    store::ServerRing ring{guest->page};
    ring.advertise();
    ring.reset();
    guest->mapped = true;
  }
  machine_.introduced(effect.domid, store::IntroduceResult::attached);
}

void World::check_limits() const {
  const store::Statistics statistics = machine_.statistics();
  require(statistics.memory <= kMemoryLimit, "the machine uses more memory than it may");
  require(statistics.memory < 16U << 20, "three hostile domains make the machine use " +
                                             std::to_string(statistics.memory) + " bytes");
}

/// One turn for everybody, with as much as they like; false when nobody had anything to do.
bool World::finish_round() {
  bool busy = false;
  for (Guest& guest : guests_) {
    busy |= guest.kicked || guest.notified;
    if (!guest.reconnecting && guest.built && !guest.client.outgoing.empty()) {
      const std::size_t before = guest.client.outgoing.size();
      guest_writes(guest, before);
      busy |= guest.client.outgoing.size() != before;
    }
    serve_guest(guest);
    absorb();
    guest_reads(guest, store::kRingBytes);
  }
  for (Socket& socket : sockets_) {
    const std::size_t heard = socket.client.sent_to;
    const std::size_t waiting = socket.client.outgoing.size() + socket.to_server.size();
    socket_writes(socket, waiting + 1);
    serve_socket(socket, waiting + 65536);
    absorb();
    socket_reads(socket, socket.to_client.size());
    busy |= socket.client.sent_to != heard ||
            socket.client.outgoing.size() + socket.to_server.size() != waiting;
  }
  return busy;
}

void World::settle() {
  // A throttled domain waits for its credit, so time must pass when nothing else moves.
  std::size_t idle_rounds = 0;
  for (std::size_t round = 0; idle_rounds < 40; ++round) {
    require(round < 5000, "clients and server do not come to rest");
    if (finish_round()) {
      idle_rounds = 0;
    } else {
      ++idle_rounds;
      pass_time(50);
      absorb();
    }
  }
  each_client([&](Client& client) {
    require(client.idle(), client.home +
                               ": a request is left without an answer, as nobody woke "
                               "who had to");
    const Owed::Key* missing = client.owed.missing();
    require(missing == nullptr,
            client.home + ": the event for " + (missing ? missing->first : "") + " never came");
    client.owed.clear();
  });
  audit();
}

test::Message World::ask_now(store::ConnId conn, MessageType type, std::string_view payload) {
  const Bytes request = test::encode(type, 1, 0, payload);
  const std::size_t taken = machine_.receive(conn, request);
  require(taken == request.size(), "the machine does not take a privileged client's request");
  absorb();
  test::Decoder decoder;
  const auto bytes = machine_.to_send(conn);
  decoder.feed(bytes);
  machine_.sent(conn, bytes.size());
  auto answer = decoder.next();
  require(answer.has_value(), "a privileged client's request is not answered at once");
  return *answer;
}

void World::crude(MessageType type, std::string_view payload) {
  (void)ask_now(crude_, type, payload);
}

void World::audit() {
  const store::ConnId auditor = machine_.connect_socket();
  for (const auto& [path, node] : store_.tree) {
    if (path.starts_with("/shared") || path.starts_with("/local/domain/")) {
      audit_node(auditor, path, node);
    }
  }
  for (const Hostile& hostile : hostiles_) {
    // All that a hostile domain owns lies in its home.
    const store::Quotas quotas;
    std::vector<std::string> open{store::domain_path(hostile.domid)};
    std::size_t owned = 0;
    while (!open.empty()) {
      const std::string path = std::move(open.back());
      open.pop_back();
      const test::Message listing = ask_now(auditor, MessageType::directory, path + '\0');
      if (listing.is_error()) continue;
      ++owned;
      for (std::size_t at = 0; at < listing.payload.size();) {
        const std::string name{listing.payload.c_str() + at};
        open.push_back(path + '/' + name);
        at += name.size() + 1;
      }
    }
    require(owned <= quotas.nodes + 1, "a domain has more nodes than its quota allows");
  }
  machine_.disconnect(auditor);
  absorb();
}

void World::audit_node(store::ConnId auditor, const std::string& path, const model::Node& node) {
  const std::string payload = path + '\0';
  const auto check = [&](MessageType type, const std::string& expected, const char* what) {
    const test::Message answer = ask_now(auditor, type, payload);
    require(!answer.is_error() && answer.payload == expected,
            path + " has other " + what + " than it should");
  };
  check(MessageType::read, node.value, "contents");
  check(MessageType::get_perms, model::permission_text(node.permissions), "rights");
  check(MessageType::directory, model::listing(store_.tree, path), "children");
}

void World::remember(std::span<const std::byte> bytes) {
  heard_ = store::digest(bytes.data(), bytes.size(), heard_);
}

}  // namespace ppvmm::simulation

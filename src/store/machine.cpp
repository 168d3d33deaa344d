#include "store/machine.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "store/state.hpp"

namespace ppvmm::store {

State::State(Options initial) : options(std::move(initial)) {
  const std::array<Permission, 1> nobody{Permission{.domid = 0, .access = Access::none}};
  const PermissionRef list = permissions.intern(nobody);
  for (const std::string_view path :
       {std::string_view("/"), std::string_view("/tool"), std::string_view("/tool/xenstored"),
        kIntroduceDomain, kReleaseDomain}) {
    tree.create(path, {}, list, generation);
  }
}

State::~State() {
  for (const auto& connection : connections)
    remove_all_watches(*connection);
}

Machine::Machine(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Machine::Machine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Machine::~Machine() = default;
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;

ConnId Machine::connect_socket() {
  return state_->add_connection(0, nullptr).id;
}

ConnId Machine::connect_domain(DomId domid, std::uint64_t gfn, std::uint32_t port) {
  Domain& domain = state_->domains.find_or_make(domid);
  // The shell has mapped the new ring already, so it is not told to let go of the old one.
  if (domain.connection != nullptr) state_->remove_connection(*domain.connection);
  domain.gfn = gfn;
  domain.port = port;
  return state_->attach(domain).id;
}

void Machine::disconnect(ConnId conn) {
  Connection* connection = state_->find_connection(conn);
  if (connection == nullptr || !connection->socket()) return;
  state_->remove_connection(*connection);
  state_->settle();
}

std::optional<ConnId> Machine::connection_of(DomId domid) const {
  const Domain* domain = state_->domains.find(domid);
  if (domain == nullptr || domain->connection == nullptr) return std::nullopt;
  return domain->connection->id;
}

std::vector<DomId> Machine::domains() const {
  std::vector<DomId> result;
  for (const auto& domain : state_->domains.all()) {
    if (domain->connection != nullptr) result.push_back(domain->domid);
  }
  return result;
}

std::vector<DomId> Machine::known_domains() const {
  std::vector<DomId> result = state_->permissions.named();
  for (const auto& domain : state_->domains.all())
    result.push_back(domain->domid);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::size_t Machine::receive(ConnId conn, std::span<const std::byte> bytes) {
  Connection* connection = state_->find_connection(conn);
  if (connection == nullptr) return 0;
  const std::size_t consumed = state_->receive(*connection, bytes);
  state_->settle();
  return consumed;
}

std::span<const std::byte> Machine::to_send(ConnId conn) const {
  const Connection* connection = state_->find_connection(conn);
  if (connection == nullptr || connection->broken) return {};
  return connection->output.bytes();
}

void Machine::sent(ConnId conn, std::size_t count) {
  Connection* connection = state_->find_connection(conn);
  if (connection != nullptr) state_->bytes_sent(*connection, count);
}

bool Machine::broken(ConnId conn) const {
  const Connection* connection = state_->find_connection(conn);
  return connection != nullptr && connection->broken;
}

void Machine::fail(ConnId conn) {
  Connection* connection = state_->find_connection(conn);
  if (connection == nullptr) return;
  state_->break_connection(*connection, "its ring cannot be used");
  state_->settle();
}

std::span<const ConnId> Machine::take_ready() {
  state_->ready_taken.swap(state_->ready);
  state_->ready.clear();
  for (const ConnId id : state_->ready_taken) {
    if (Connection* connection = state_->find_connection(id)) connection->ready = false;
  }
  return state_->ready_taken;
}

void Machine::introduced(DomId domid, IntroduceResult result) {
  state_->introduced(domid, result);
  state_->settle();
}

void Machine::domain_shutdown(DomId domid) {
  Domain* domain = state_->domains.find(domid);
  if (domain == nullptr || domain->connection == nullptr || domain->shut_down) return;
  domain->shut_down = true;
  state_->fire_special(kReleaseDomain);
  state_->settle();
}

void Machine::domain_dead(DomId domid) {
  if (domid == 0) return;  // with domain 0 goes the host
  state_->forget_domain(domid);
  state_->settle();
}

void Machine::domain_reborn(DomId domid) {
  Domain* domain = state_->domains.find(domid);
  if (domain == nullptr) return;
  state_->detach(*domain);
  domain->shut_down = false;
  state_->settle();
}

void Machine::restart_streams(DomId domid) {
  Domain* domain = state_->domains.find(domid);
  if (domain == nullptr || domain->connection == nullptr) return;
  state_->empty_streams(*domain->connection);
  state_->reconsider(*domain->connection);
  state_->settle();
}

void Machine::reconnect(DomId domid) {
  Domain* domain = state_->domains.find(domid);
  if (domain == nullptr || domain->connection == nullptr) return;
  Connection& connection = *domain->connection;
  state_->empty_connection(connection);
  connection.broken = false;
  state_->effects.push_back({.kind = Effect::Kind::reset_ring, .domid = domid});
  state_->reconsider(connection);
  state_->mark_ready(connection);
  state_->settle();
}

void Machine::advance(std::uint64_t now_ms) {
  state_->now_ms = std::max(state_->now_ms, now_ms);
  for (const auto& connection : state_->connections) {
    if (connection->privileged()) continue;
    state_->expire_events(*connection);
    if (state_->throttle.refill(*connection->domain, state_->now_ms)) {
      state_->reconsider(*connection);
    }
  }
}

std::optional<std::uint64_t> Machine::next_deadline_ms() const {
  std::optional<std::uint64_t> earliest;
  const auto consider = [&earliest](std::optional<std::uint64_t> deadline) {
    if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
  };
  for (const auto& connection : state_->connections) {
    if (connection->privileged()) continue;
    consider(connection->output.next_deadline_ms());
    consider(state_->throttle.free_at_ms(*connection->domain));
  }
  return earliest;
}

std::uint64_t Machine::now_ms() const {
  return state_->now_ms;
}

std::vector<Effect> Machine::attached() const {
  std::vector<Effect> result;
  for (const auto& domain : state_->domains.all()) {
    if (domain->connection == nullptr) continue;
    result.push_back({.kind = Effect::Kind::attach_domain,
                      .domid = domain->domid,
                      .gfn = domain->gfn,
                      .port = domain->port});
  }
  return result;
}

std::vector<ConnId> Machine::sockets() const {
  std::vector<ConnId> result;
  for (const auto& connection : state_->connections) {
    if (connection->socket()) result.push_back(connection->id);
  }
  return result;
}

std::vector<Effect> Machine::take_effects() {
  return std::exchange(state_->effects, {});
}

std::vector<LogRecord> Machine::take_log() {
  return std::exchange(state_->log_records, {});
}

Statistics Machine::statistics() const {
  Statistics result = state_->counters;
  result.nodes = state_->ledger.nodes();
  result.watches = state_->watches.size();
  result.connections = state_->connections.size();
  result.memory = static_cast<std::uint64_t>(state_->memory_in_use()) + state_->permissions.bytes();
  return result;
}

std::uint64_t Machine::corruptions() const {
  return state_->counters.corruptions;
}

bool Machine::scrub(std::size_t nodes) {
  const Scrubbed result = store::scrub(*state_, state_->scrub_cursor, nodes);
  if (result.corrupt.empty()) return true;
  state_->note_corruption(result.corrupt);
  return false;
}

Heartbeat Machine::heartbeat() const {
  return state_->options.heartbeat;
}

std::uint64_t Machine::tree_digest() const {
  return state_->ledger.digest();
}

}  // namespace ppvmm::store

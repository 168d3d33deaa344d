// Coming, staying within limits, and going of connections.
#include <algorithm>

#include "store/state.hpp"

namespace ppvmm::store {

Connection* State::find_connection(ConnId id) const {
  const auto at = std::lower_bound(connections.begin(), connections.end(), id,
                                   [](const std::unique_ptr<Connection>& connection,
                                      ConnId wanted) { return connection->id < wanted; });
  return at != connections.end() && (*at)->id == id ? at->get() : nullptr;
}

Connection& State::add_connection(DomId domid, Domain* domain) {
  connections.push_back(std::make_unique<Connection>(ConnId{next_connection++}, domid, domain));
  return *connections.back();
}

void State::empty_connection(Connection& connection) {
  remove_all_watches(connection);
  empty_streams(connection);
}

void State::empty_streams(Connection& connection) {
  end_all_transactions(connection);
  connection.output.clear(
      [&](const OutputQueue::Message& message) { message_left(connection, message); });
  connection.partial.clear();
  connection.partial.shrink_to_fit();
  connection.waiting = false;
}

void State::remove_connection(Connection& connection) {
  empty_connection(connection);
  if (connection.domain != nullptr) {
    connection.domain->connection = nullptr;
    throttle.domain_removed(*connection.domain);
  }
  const auto at = std::find_if(connections.begin(), connections.end(),
                               [&](const auto& other) { return other.get() == &connection; });
  connections.erase(at);
}

void State::break_connection(Connection& connection, std::string_view why) {
  if (connection.broken) return;
  connection.broken = true;
  std::string text = connection.socket() ? "socket client" : "domain ";
  if (!connection.socket()) text += std::to_string(connection.domid);
  text += " is ignored from now on: ";
  text += why;
  log(LogRecord::Level::warning, std::move(text));
  to_empty_.push_back(connection.id);
  mark_ready(connection);
}

void State::settle() {
  for (const ConnId id : to_empty_) {
    if (Connection* connection = find_connection(id)) empty_connection(*connection);
  }
  to_empty_.clear();
}

void State::mark_ready(Connection& connection) {
  if (connection.ready) return;
  connection.ready = true;
  ready.push_back(connection.id);
}

bool State::accepts_input(const Connection& connection) const {
  // Without a bound, a client that sends and never reads would eat the host's memory.
  constexpr std::size_t kPrivilegedBacklog = 1 << 20;
  if (connection.broken || connection.waiting) return false;
  if (connection.privileged()) return connection.output.size() < kPrivilegedBacklog;
  return connection.outstanding < options.quotas.outstanding &&
         !Throttle::blocks(*connection.domain);
}

void State::reconsider(Connection& connection) {
  if (!connection.stalled || !accepts_input(connection)) return;
  connection.stalled = false;
  mark_ready(connection);
}

}  // namespace ppvmm::store

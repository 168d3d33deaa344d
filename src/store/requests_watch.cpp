// WATCH, UNWATCH, RESET_WATCHES.
#include <algorithm>

#include "store/path.hpp"
#include "store/requests.hpp"

namespace ppvmm::store {
namespace {

bool is_relative(std::string_view path) {
  return !path.starts_with('/') && !path.starts_with('@');
}

// Ends a watch that was taken off its connection's list.
void drop_watch(State& state, Connection& client, Watch& watch) {
  state.charge(client, -watch.charge());
  state.buffers.watches -= watch.charge();
  if (client.domain != nullptr) --client.domain->usage.watches;
  state.watches.remove(watch);
}

}  // namespace

void State::remove_all_watches(Connection& client) {
  for (Watch* watch : client.watches)
    drop_watch(*this, client, *watch);
  client.watches.clear();
}

Watch& State::add_watch(Connection& client, std::string_view path, std::string_view token,
                        bool relative) {
  const std::size_t prefix = relative ? domain_path(client.domid).size() + 1 : 0;
  Watch& watch = watches.add(client, path, token, prefix);
  client.watches.push_back(&watch);
  charge(client, watch.charge());
  buffers.watches += watch.charge();
  if (client.domain != nullptr) ++client.domain->usage.watches;
  return watch;
}

Status do_watch(State& state, const Request& request) {
  const auto strings = request.payload.exactly<2>();
  if (!strings) return std::unexpected(Error::inval);
  const auto& [given, token] = *strings;
  std::string buffer;
  const auto path = resolve(state, request, given, buffer, true);
  if (!path) return std::unexpected(path.error());
  Connection& client = request.client;
  if (state.watches.find(client, *path, token) != nullptr) return std::unexpected(Error::exist);
  if (!client.privileged() && client.domain->usage.watches >= state.options.quotas.watches) {
    state.refuse(client, &Quotas::watches, "WATCH");
    return std::unexpected(Error::toobig);
  }
  if (!state.machine_may_grow("WATCH")) return std::unexpected(Error::nospc);
  const auto bytes = static_cast<std::int64_t>(sizeof(Watch) + path->size() + token.size());
  if (!state.may_grow(client, bytes, "WATCH")) return std::unexpected(Error::nomem);
  const Watch& watch = state.add_watch(client, *path, token, is_relative(given));
  // The answer first; then one event, so that a client need not look at the node by itself.
  state.acknowledge(request);
  state.send_event(client, watch.shown(*path), token, {});
  return {};
}

Status do_unwatch(State& state, const Request& request) {
  const auto strings = request.payload.exactly<2>();
  if (!strings) return std::unexpected(Error::inval);
  const auto& [given, token] = *strings;
  std::string buffer;
  const auto path = resolve(state, request, given, buffer, true);
  if (!path) return std::unexpected(path.error());
  Connection& client = request.client;
  Watch* watch = state.watches.find(client, *path, token);
  if (watch == nullptr) return std::unexpected(Error::noent);
  client.watches.erase(std::find(client.watches.begin(), client.watches.end(), watch));
  drop_watch(state, client, *watch);
  state.acknowledge(request);
  return {};
}

Status do_reset_watches(State& state, const Request& request) {
  state.remove_all_watches(request.client);
  state.end_all_transactions(request.client);
  state.acknowledge(request);
  return {};
}

}  // namespace ppvmm::store

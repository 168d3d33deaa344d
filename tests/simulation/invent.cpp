/// What honest clients like to do.
#include <array>

#include "simulation/client.hpp"
#include "store/path.hpp"

namespace ppvmm::simulation {
namespace {

using What = Request::What;
using Kind = model::Operation::Kind;
using store::Access;

constexpr std::array<std::string_view, 6> kNames{"a", "b", "c", "state", "a-b", "x_1@"};
constexpr std::size_t kDepth = 4;

/// A path in the client's reach: its home, a neighbour's (to be refused) or the shared area.
std::string some_path(Random& random, const Client& client, std::span<const DomId> domains) {
  std::string path;
  const std::size_t where = random.below(10);
  if (where < 5) {
    path = client.home;
  } else if (where < 9 || domains.empty()) {
    path = "/shared";
  } else {
    path = store::domain_path(random.pick(domains));
  }
  const std::size_t depth = random.below(kDepth);
  for (std::size_t i = 0; i < depth; ++i) {
    path += '/';
    path += random.pick(kNames);
  }
  return path;
}

std::string some_value(Random& random) {
  std::string value(random.below(10) == 0 ? random.below(1500) : random.below(20), 'v');
  for (char& c : value)
    c = static_cast<char>(random.next());
  return value;
}

model::Permissions some_permissions(Random& random, const Client& client,
                                    std::span<const DomId> domains) {
  model::Permissions list;
  list.push_back({client.caller.domid, static_cast<std::uint8_t>(random.below(4))});
  while (!domains.empty() && random.chance(40) && list.size() < 4) {
    list.push_back({random.pick(domains), static_cast<std::uint8_t>(random.below(4))});
  }
  return list;
}

model::Operation some_operation(Random& random, const Client& client,
                                std::span<const DomId> domains) {
  const std::string path = some_path(random, client, domains);
  const std::size_t kind = random.below(20);
  if (kind < 6) return {Kind::read, path};
  if (kind < 8) return {Kind::directory, path};
  if (kind < 9) return {Kind::get_permissions, path};
  if (kind < 15) return {Kind::write, path, some_value(random)};
  if (kind < 16) return {Kind::mkdir, path};
  // Homes and the shared area stay: the simulation's plot needs them.
  const bool is_root =
      path == "/shared" || path == client.home || store::parent_path(path) == "/local/domain";
  if (is_root) return {Kind::directory, path};
  if (kind < 18) return {Kind::remove, path};
  // Domain 0 leaves the rights in other domains' homes alone.
  if (client.caller.privileged && !path.starts_with("/shared")) return {Kind::read, path};
  return {Kind::set_permissions, path, {}, some_permissions(random, client, domains)};
}

WatchModel some_watch(Random& random, const Client& client, std::uint32_t& tokens,
                      std::span<const DomId> domains) {
  std::string path = random.chance(80) ? some_path(random, client, domains) : "/";
  if (client.caller.privileged && random.chance(20)) {
    path = random.chance(50) ? "@introduceDomain" : "@releaseDomain";
  }
  const std::string home = client.home + '/';
  const bool relative = !client.caller.privileged && path.starts_with(home) && random.chance(50);
  return {path, "t" + std::to_string(++tokens), relative ? home.size() : 0};
}

}  // namespace

Request invent(Random& random, const Client& client, std::uint32_t& tokens,
               std::span<const DomId> domains) {
  Request request;
  const std::size_t kind = random.below(100);
  const bool in_doubt = !client.asked.empty() || !client.expected.empty();
  if (!client.transactions.empty() && !in_doubt && kind < 60) {
    const auto& transaction = client.transactions[random.below(client.transactions.size())];
    request.transaction = transaction.id;
    if (kind < 12) {
      request.what = kind < 10 ? What::commit : What::abort;
      return request;
    }
    request.operation = some_operation(random, client, domains);
    return request;
  }
  if (kind < 75) {
    request.operation = some_operation(random, client, domains);
  } else if (kind < 81 && !in_doubt && client.transactions.size() < 2) {
    request.what = What::start;
  } else if (kind < 87 && client.watches.size() < 20) {
    request.what = What::watch;
    request.watch = some_watch(random, client, tokens, domains);
  } else if (kind < 92 && !client.watches.empty()) {
    request.what = What::unwatch;
    request.watch = client.watches[random.below(client.watches.size())];
  } else if (kind < 95 && client.caller.privileged && !domains.empty()) {
    request.what = random.chance(50) ? What::is_introduced : What::domain_path;
    request.domid = random.pick(domains);
  } else if (kind == 99 && !client.caller.privileged && !in_doubt) {
    request.what = What::reset_watches;
  } else {
    request.operation = some_operation(random, client, domains);
  }
  return request;
}

}  // namespace ppvmm::simulation

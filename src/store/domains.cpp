// The life of domains: attached, detached, gone.
#include <algorithm>
#include <optional>
#include <utility>

#include "store/path.hpp"
#include "store/state.hpp"

namespace ppvmm::store {

void State::detach(Domain& domain) {
  if (domain.connection != nullptr) remove_connection(*domain.connection);
  if (!domain.attach_requested) return;
  domain.attach_requested = false;
  effects.push_back({.kind = Effect::Kind::detach_domain, .domid = domain.domid});
}

Connection& State::attach(Domain& domain) {
  Connection& connection = add_connection(domain.domid, &domain);
  domain.connection = &connection;
  domain.announced = true;
  domain.attach_requested = true;
  // What the toolstack said of the domain outlives a new introduction, as in C xenstored.
  connection.target = std::exchange(domain.target_kept, std::nullopt);
  if (!domain.reintroduction) domain.shut_down = false;
  throttle.domain_added(domain, now_ms);
  return connection;
}

void State::introduced(DomId domid, IntroduceResult result) {
  Domain* domain = domains.find(domid);
  if (domain == nullptr) return;
  if (domain->void_reports > 0) {
    --domain->void_reports;
    if (domain->forgettable()) domains.erase(domid);
    return;
  }
  if (domain->introductions.empty()) return;
  const PendingIntroduction pending = domain->introductions.front();
  domain->introductions.erase(domain->introductions.begin());
  // A later INTRODUCE of the same domain overtook this one: only its ring counts.
  const bool latest = domain->introductions.empty();
  const bool attached = result == IntroduceResult::attached;
  if (latest && attached) {
    mark_ready(attach(*domain));
    if (!domain->reintroduction) fire_special(kIntroduceDomain);
  } else if (latest) {
    log(LogRecord::Level::warning,
        "domain " + std::to_string(domid) + " was not introduced: " +
            (result == IntroduceResult::bad_ring ? "its ring page cannot be mapped"
                                                 : "its event channel cannot be bound"));
    domain->attach_requested = false;
  }
  answer_introduction(pending, attached);
  if (domain->forgettable()) domains.erase(domid);
}

void State::answer_introduction(const PendingIntroduction& pending, bool attached) {
  Connection* client = find_connection(pending.client);
  if (client == nullptr || client->broken) return;
  client->waiting = false;
  const MessageHeader header{.type = MessageType::introduce,
                             .request_id = pending.request_id,
                             .transaction_id = pending.transaction_id,
                             .length = 0};
  const Request request{.client = *client,
                        .header = header,
                        .payload = Payload({}),
                        .transaction = nullptr,
                        .cause = {}};
  if (attached) {
    acknowledge(request);
  } else {
    answer_error(request, Error::inval);
  }
  reconsider(*client);
}

void State::forget_domain(DomId domid) {
  Domain* domain = domains.find(domid);
  const bool was_announced = domain != nullptr && std::exchange(domain->announced, false);
  if (domain != nullptr) {
    // Reports on its rings that are still to come mean nothing any more.
    domain->void_reports += static_cast<std::uint32_t>(domain->introductions.size());
    const auto pending = std::exchange(domain->introductions, {});
    for (const PendingIntroduction& introduction : pending) {
      answer_introduction(introduction, false);
    }
    detach(*domain);
  }
  // A new domain of the same id must not inherit rights, neither by the lists of nodes nor by
  // SET_TARGET.
  for (const auto& connection : connections) {
    if (connection->target == domid) connection->target.reset();
  }
  for (const auto& other : domains.all()) {
    if (other->target_kept == domid) other->target_kept.reset();
  }
  remove_nodes_of(domid);
  for (PermissionList* list : permissions.naming(domid)) {
    ledger.before_change(*list);
    permissions.withdraw(*list, domid);
    ledger.after_change(*list);
  }
  if (was_announced) fire_special(kReleaseDomain);
  domain = domains.find(domid);
  if (domain == nullptr) return;
  domain->shut_down = false;
  domain->target_kept.reset();
  domain->refusals = {};
  domain->memory_warned = domain->throttle_logged = false;
  if (domain->forgettable()) domains.erase(domid);
}

void State::remove_subtree(std::string_view path, Cause cause) {
  const Lookup found = tree.find(path);
  walk(
      *found.node, *found.parent, std::string(path), [](const Visit&) { return true; },
      [&](const Visit& visit) {
        heap.pulse().step();
        const bool top = &visit.node == found.node;
        fire(visit.path, top ? Reach::subtree : Reach::exact, visit.node.permissions.get(),
             visit.parent.permissions.get(), nullptr, cause);
      });
  tree.erase(path, ++generation);
}

void State::remove_nodes_of(DomId domid) {
  const auto owns_any = [&] {
    const Domain* domain = domains.find(domid);
    return domain != nullptr && domain->usage.nodes > 0;
  };
  // Nearly always all of them are under the domain's own path. Only if some are elsewhere the
  // whole tree has to be searched.
  if (owns_any()) remove_nodes_of(domid, domain_path(domid));
  if (owns_any()) remove_nodes_of(domid, "/");
  if (owns_any()) return_special_nodes(domid);
}

void State::remove_nodes_of(DomId domid, std::string_view below) {
  const Lookup found = tree.find(below);
  if (found.node == nullptr) return;
  std::vector<std::string> owned;
  walk(
      *found.node, *found.parent, std::string(below),
      [&](const Visit& visit) {
        heap.pulse().step();
        const bool mine = visit.node.permissions->owner() == domid;
        if (mine && visit.path != "/") owned.push_back(visit.path);
        return !mine || visit.path == "/";
      },
      [](const Visit&) {});
  for (const std::string& path : owned)
    remove_subtree(path, {});
}

void State::return_special_nodes(DomId domid) {
  for (const std::string_view path : {std::string_view("/"), kIntroduceDomain, kReleaseDomain}) {
    const Node& node = *tree.find(path).node;
    if (node.permissions->owner() != domid) continue;
    std::vector<Permission> entries = node.permissions->entries;
    entries.front().domid = 0;
    ++generation;
    tree.set_permissions(path, permissions.intern(entries));
  }
}

}  // namespace ppvmm::store

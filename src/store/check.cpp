#include "store/check.hpp"

#include <algorithm>
#include <cstdlib>

#include "store/digest.hpp"
#include "store/path.hpp"

namespace ppvmm::store {
namespace {

int height(const Node* node) {
  return node == nullptr ? 0 : node->height;
}
std::uint32_t listing(const Node* node) {
  return node == nullptr ? 0 : node->listing;
}

bool well_shaped(const Node& node) {
  const int lean = height(node.left) - height(node.right);
  return lean >= -1 && lean <= 1 &&
         node.height == 1 + std::max(height(node.left), height(node.right)) &&
         node.listing == listing(node.left) + listing(node.right) + node.name_length + 1U &&
         node.prefix == name_prefix(node.name()) &&
         (node.left == nullptr || node.left->name() < node.name()) &&
         (node.right == nullptr || node.name() < node.right->name());
}

struct Recount {
  std::uint64_t digest{};
  std::uint64_t nodes{};
  std::vector<std::pair<DomId, std::int64_t>> owned;
  std::vector<std::pair<DomId, std::int64_t>> bytes;
};

std::int64_t of_domain(const std::vector<std::pair<DomId, std::int64_t>>& counts, DomId domid) {
  const auto at = std::find_if(counts.begin(), counts.end(),
                               [&](const auto& entry) { return entry.first == domid; });
  return at == counts.end() ? 0 : at->second;
}

// Bytes that a connection takes beside the nodes.
std::int64_t bytes_held(const Connection& connection) {
  std::int64_t bytes = 0;
  for (const Watch* watch : connection.watches)
    bytes += watch->charge();
  for (const auto& transaction : connection.transactions)
    bytes += transaction->charge;
  for (const OutputQueue::Message& message : connection.output.messages())
    bytes += message.size;
  return bytes;
}

}  // namespace

std::optional<std::string> find_inconsistency(const State& state) {
  std::optional<std::string> wrong;
  Recount recount;
  walk(
      *state.tree.anchor(), *state.tree.anchor(), std::string(),
      [&](const Visit& visit) {
        if (wrong || visit.path.empty()) return !wrong;
        if (!visit.node.intact()) {
          wrong = "node " + visit.path + " is corrupt";
        } else if (!well_shaped(visit.node) || !is_canonical(visit.path)) {
          wrong = "node " + visit.path + " is out of place in its directory";
        } else {
          const std::uint64_t path_hash = digest(visit.path);
          recount.digest +=
              digest(visit.node.value(), path_hash) + visit.node.permissions->hash * path_hash;
          ++recount.nodes;
          add_nodes(recount.owned, visit.node.permissions->owner(), 1);
          add_nodes(recount.bytes, visit.node.permissions->owner(), Ledger::charge(visit.node));
        }
        return !wrong;
      },
      [](const Visit&) {});
  if (wrong) return wrong;
  if (recount.nodes != state.ledger.nodes()) return "the number of nodes is not what was counted";
  if (recount.digest != state.ledger.digest()) return "the tree's digest is not what was summed up";
  for (const auto& domain : state.domains.all()) {
    const std::int64_t owned = of_domain(recount.owned, domain->domid);
    if (owned != std::int64_t{domain->usage.nodes}) {
      return "domain " + std::to_string(domain->domid) + " owns " + std::to_string(owned) +
             " nodes, but " + std::to_string(domain->usage.nodes) + " are counted";
    }
    const std::int64_t bytes =
        of_domain(recount.bytes, domain->domid) +
        (domain->connection == nullptr ? 0 : bytes_held(*domain->connection));
    if (bytes != domain->usage.memory) {
      return "domain " + std::to_string(domain->domid) + " takes " + std::to_string(bytes) +
             " bytes, but " + std::to_string(domain->usage.memory) + " are counted";
    }
  }
  for (const auto& connection : state.connections) {
    if (connection->domain == nullptr) continue;
    const Usage& usage = connection->domain->usage;
    if (usage.watches != connection->watches.size() ||
        usage.transactions != connection->transactions.size()) {
      return "domain " + std::to_string(connection->domid) +
             " holds other watches or transactions than are counted";
    }
  }
  return std::nullopt;
}

}  // namespace ppvmm::store

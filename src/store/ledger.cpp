#include "store/ledger.hpp"

#include "store/digest.hpp"

namespace ppvmm::store {
namespace {

// Two hashes of one node that no other path or value shares but by accident.
struct Parts {
  std::uint64_t path{};
  std::uint64_t value{};
};

Parts parts_of(std::string_view path, const Node& node) {
  const std::uint64_t path_hash = digest(path);
  return {path_hash, digest(node.value(), path_hash)};
}

}  // namespace

std::int64_t Ledger::charge(const Node& node) {
  return static_cast<std::int64_t>(NodeHeap::footprint(node.name_length, node.value_length));
}

void Ledger::added(std::string_view path, const Node& node) {
  const Parts parts = parts_of(path, node);
  PermissionList& list = *node.permissions;
  digest_ += parts.value + list.hash * parts.path;
  list.weight += parts.path;
  ++nodes_;
  path_bytes_ += static_cast<std::int64_t>(path.size());
  Usage& usage = domains_.find_or_make(list.owner()).usage;
  ++usage.nodes;
  usage.memory += charge(node);
}

void Ledger::removed(std::string_view path, const Node& node) {
  const Parts parts = parts_of(path, node);
  PermissionList& list = *node.permissions;
  digest_ -= parts.value + list.hash * parts.path;
  list.weight -= parts.path;
  --nodes_;
  path_bytes_ -= static_cast<std::int64_t>(path.size());
  Usage& usage = domains_.find_or_make(list.owner()).usage;
  --usage.nodes;
  usage.memory -= charge(node);
}

}  // namespace ppvmm::store

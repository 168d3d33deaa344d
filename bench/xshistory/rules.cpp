#include "rules.hpp"

#include <utility>

namespace ppvmm::xshistory {

std::map<std::string, Ops> by_key(const History& history, std::string_view prefix) {
  std::map<std::string, Ops> sorted;
  for (const Op& op : history) {
    if (op.key.starts_with(prefix)) sorted[op.key].push_back(&op);
  }
  return sorted;
}

Fate fate_of(const Op& change) {
  if (change.answered == 0) return Fate::open;
  if (change.error.empty()) return Fate::done;
  return change.error == "EAGAIN" ? Fate::nothing : Fate::open;
}

bool told(const Op& read) {
  return read.answered != 0 && (read.error.empty() || read.error == "ENOENT");
}

Fate Transaction::fate() const {
  // One that was never ended has changed nothing, for its connection took it along.
  return end == nullptr ? Fate::nothing : fate_of(*end);
}

std::vector<Transaction> transactions(const History& history, std::string_view prefix) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, Transaction> all;
  for (const Op& op : history) {
    if (op.transaction == 0) continue;
    Transaction& one = all[{op.client, op.transaction}];
    one.client = op.client;
    if (op.kind == Kind::end && op.value != kAborted) one.end = &op;
    if (op.key.starts_with(prefix)) one.ops.push_back(&op);
  }
  std::vector<Transaction> touched;
  for (auto& [name, one] : all) {
    if (!one.ops.empty()) touched.push_back(std::move(one));
  }
  return touched;
}

}  // namespace ppvmm::xshistory

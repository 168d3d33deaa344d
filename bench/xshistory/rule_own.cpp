#include <set>

#include "checker.hpp"
#include "rules.hpp"

namespace ppvmm::xshistory {
namespace {

/// One client, one thing after the other: after each answer the node can hold only what is in
/// `possible`. "" is its absence.
void check_node(const std::string& key, const Ops& ops, std::vector<Violation>& found) {
  std::set<std::string> possible{""};
  for (const Op* op : ops) {
    if (op->kind == Kind::write) {
      const Fate fate = fate_of(*op);
      if (fate == Fate::done) possible.clear();
      if (fate != Fate::nothing) possible.insert(op->value);
    } else if (op->kind == Kind::read && told(*op) && op->value != kWrongBytes) {
      if (!possible.contains(op->value)) {
        found.push_back(
            {.rule = "lost write",
             .key = key,
             .client = op->client,
             .time = op->answered,
             .text = "read \"" + op->value + "\" where \"" + *possible.begin() + "\" was written"});
      }
      possible = {op->value};
    }
  }
}

}  // namespace

void check_own(const History& history, std::vector<Violation>& found) {
  for (const auto& [key, ops] : by_key(history, "s/"))
    check_node(key, ops, found);
}

}  // namespace ppvmm::xshistory

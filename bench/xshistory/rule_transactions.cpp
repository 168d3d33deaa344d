#include <algorithm>
#include <charconv>
#include <optional>

#include "checker.hpp"
#include "rules.hpp"

namespace ppvmm::xshistory {
namespace {

std::optional<std::int64_t> number(const std::string& text) {
  if (text.empty()) return 0;  // a counter that nobody made yet
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Counter {
  std::map<std::int64_t, const Op*> acknowledged;  // number that was read -> the commit
  std::int64_t open{};
  std::int64_t done{};
  std::map<std::uint32_t, std::int64_t> highest;  // that each client saw
  std::optional<std::int64_t> final;
  const Op* final_read{};
};

void count(const Transaction& one, std::map<std::string, Counter>& counters,
           std::vector<Violation>& found) {
  const Op* read = nullptr;
  const Op* write = nullptr;
  for (const Op* op : one.ops) {
    if (op->kind == Kind::read && told(*op)) read = op;
    if (op->kind == Kind::write) write = op;
  }
  if (read == nullptr) return;
  Counter& counter = counters[read->key];
  const auto seen = number(read->value);
  if (!seen) return;  // told as wrong bytes by whoever read it
  if (write == nullptr) return;
  const Fate fate = one.fate();
  if (fate == Fate::open) ++counter.open;
  if (fate != Fate::done) return;
  ++counter.done;
  const auto [other, fresh] = counter.acknowledged.emplace(*seen, one.end);
  if (!fresh) {
    found.push_back(
        {.rule = "executed twice",
         .key = read->key,
         .client = one.client,
         .time = one.end->answered,
         .text = "two committed transactions both raised it from " + std::to_string(*seen)});
  }
}

}  // namespace

void check_counters(const History& history, std::vector<Violation>& found) {
  std::map<std::string, Counter> counters;
  for (const Transaction& one : transactions(history, "c/"))
    count(one, counters, found);
  // Reads outside transactions: the last one is the balance.
  for (const Op& op : history) {
    if (!op.key.starts_with("c/") || op.transaction != 0 || op.kind != Kind::read || !told(op)) {
      continue;
    }
    const auto value = number(op.value);
    if (!value) continue;
    Counter& counter = counters[op.key];
    std::int64_t& highest = counter.highest[op.client];
    if (*value < highest) {
      found.push_back(
          {.rule = "lost write",
           .key = op.key,
           .client = op.client,
           .time = op.answered,
           .text = "the counter went back from " + std::to_string(highest) + " to " + op.value});
    }
    highest = std::max(highest, *value);
    counter.final = value;
    counter.final_read = &op;
  }
  for (const auto& [key, counter] : counters) {
    if (!counter.final) continue;
    if (*counter.final < counter.done || *counter.final > counter.done + counter.open) {
      found.push_back({.rule = *counter.final < counter.done ? "lost write" : "executed twice",
                       .key = key,
                       .client = counter.final_read->client,
                       .time = counter.final_read->answered,
                       .text = "the counter is " + std::to_string(*counter.final) + " after " +
                               std::to_string(counter.done) + " acknowledged increments and " +
                               std::to_string(counter.open) + " of unknown fate"});
    }
  }
}

void check_pairs(const History& history, std::vector<Violation>& found) {
  for (const Transaction& one : transactions(history, "p/")) {
    if (one.fate() != Fate::done) continue;
    std::map<std::string, const Op*> first;  // of each pair: keys differ in their last letter
    for (const Op* op : one.ops) {
      if (op->kind != Kind::read || !told(*op)) continue;
      const auto [half, fresh] = first.emplace(op->key.substr(0, op->key.size() - 1), op);
      if (fresh || op->value == half->second->value) continue;
      found.push_back({.rule = "torn transaction",
                       .key = op->key,
                       .client = one.client,
                       .time = op->answered,
                       .text = "a committed transaction read \"" + half->second->value + "\" in " +
                               half->second->key + " and \"" + op->value + "\" in " + op->key});
    }
  }
}

}  // namespace ppvmm::xshistory

#include <algorithm>
#include <limits>
#include <optional>

#include "checker.hpp"
#include "rules.hpp"

namespace ppvmm::xshistory {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

/// All that speaks of one value of one register: its write and its reads.
struct Cluster {
  const Op* write{};                ///< Nothing for the state before the first write (value "").
  std::uint64_t first_end{kNever};  ///< Earliest answer: the value was there by then.
  std::uint64_t last_begin{};       ///< Latest question: the value was still there then.
  const Op* last{};                 ///< The op that asked last.
  bool seen{};                      ///< Somebody was told: it did happen.
};

/// Zone of a value (Gibbons and Korach): forward when the value must have been there all the time
/// from `low` to `high`, backward when one instant between them is enough.
struct Zone {
  std::uint64_t low{};
  std::uint64_t high{};
  bool forward{};
  const Op* shown_by{};
  std::string value;
};

void add(Cluster& cluster, const Op& op, std::uint64_t begin, std::uint64_t end) {
  cluster.first_end = std::min(cluster.first_end, end);
  if (cluster.last == nullptr || begin >= cluster.last_begin) {
    cluster.last_begin = begin;
    cluster.last = &op;
  }
}

std::map<std::string, Cluster> clusters_of(const Ops& ops, std::vector<Violation>& found) {
  std::map<std::string, Cluster> clusters;
  // The register is absent at first, for ever before the history.
  clusters[""].first_end = 0;
  for (const Op* op : ops) {
    if (op->kind != Kind::write) continue;
    const Fate fate = fate_of(*op);
    Cluster& cluster = clusters[op->value];
    cluster.write = op;
    cluster.seen = fate == Fate::done;
    add(cluster, *op, op->invoked, fate == Fate::done ? op->answered : kNever);
  }
  for (const Op* op : ops) {
    if (op->kind != Kind::read || !told(*op) || op->value == kWrongBytes) continue;
    const auto cluster = clusters.find(op->value);
    if (cluster == clusters.end()) {
      found.push_back({.rule = "wrong bytes",
                       .key = op->key,
                       .client = op->client,
                       .time = op->answered,
                       .text = "read " + op->value + ", which nobody wrote there"});
      continue;
    }
    const Op* const write = cluster->second.write;
    if (write != nullptr && op->answered < write->invoked) {
      found.push_back({.rule = "read before written",
                       .key = op->key,
                       .client = op->client,
                       .time = op->answered,
                       .text = "read " + op->value + " before it was written"});
    }
    cluster->second.seen = true;
    add(cluster->second, *op, op->invoked, op->answered);
  }
  return clusters;
}

Violation broken(const Zone& outer, const Zone& inner, const std::string& key) {
  const Op* const shown = outer.shown_by;
  return {.rule = inner.shown_by != nullptr && inner.shown_by->kind == Kind::write &&
                          shown != nullptr && shown->kind == Kind::read
                      ? "lost write"
                      : "stale read",
          .key = key,
          .client = shown != nullptr ? shown->client : 0,
          .time = shown != nullptr ? shown->answered : 0,
          .text = "value \"" + outer.value + "\" was still there after value \"" + inner.value +
                  "\" must have replaced it"};
}

void check_register(const std::string& key, const Ops& ops, std::vector<Violation>& found) {
  std::vector<Zone> zones;
  for (const auto& [value, cluster] : clusters_of(ops, found)) {
    // A write that nobody was told of and nobody saw need not have happened. The absence before the
    // first write counts when somebody saw it.
    if (!cluster.seen) continue;
    const bool forward = cluster.first_end < cluster.last_begin;
    zones.push_back({.low = std::min(cluster.first_end, cluster.last_begin),
                     .high = std::max(cluster.first_end, cluster.last_begin),
                     .forward = forward,
                     .shown_by = cluster.last,
                     .value = value});
  }
  std::ranges::sort(zones, {}, &Zone::low);
  // Forward zones must not overlap, and none may hold a whole backward zone.
  std::optional<Zone> reaching;  // the forward zone that reaches farthest so far
  for (const Zone& zone : zones) {
    if (reaching && zone.forward && zone.low < reaching->high) {
      found.push_back(broken(*reaching, zone, key));
    }
    if (reaching && !zone.forward && zone.low > reaching->low && zone.high < reaching->high) {
      found.push_back(broken(*reaching, zone, key));
    }
    if (zone.forward && (!reaching || zone.high > reaching->high)) reaching = zone;
  }
}

}  // namespace

void check_registers(const History& history, std::vector<Violation>& found) {
  for (const auto& [key, ops] : by_key(history, "r/"))
    check_register(key, ops, found);
}

}  // namespace ppvmm::xshistory

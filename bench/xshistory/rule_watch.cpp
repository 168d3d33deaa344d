#include <algorithm>
#include <optional>

#include "checker.hpp"
#include "rules.hpp"

namespace ppvmm::xshistory {
namespace {

/// One registration of a watch, and what happened on its node meanwhile.
struct Life {
  const Op* watch{};
  const Op* last_write{};   ///< Acknowledged.
  std::uint64_t reasons{};  ///< Most events there can be: registration and writes.
  std::uint64_t events{};
  std::uint64_t last_event{};
};

void judge(const Life& life, std::vector<Violation>& found) {
  const auto say = [&](std::string rule, const Op& op, std::string text) {
    found.push_back({.rule = std::move(rule),
                     .key = op.key,
                     .client = op.client,
                     .time = op.answered,
                     .text = std::move(text)});
  };
  if (life.events > life.reasons) {
    say("executed twice", *life.watch,
        std::to_string(life.events) + " events came for " + std::to_string(life.reasons) +
            " reasons");
  }
  // An event may stand for several writes, but not for one that was asked for after it came.
  const Op& last = life.last_write != nullptr ? *life.last_write : *life.watch;
  if (life.events == 0 || life.last_event < last.invoked) {
    say("lost event", last, "no event came after it");
  }
}

void check_node(const Ops& ops, std::vector<Violation>& found) {
  std::optional<Life> life;
  for (const Op* op : ops) {
    switch (op->kind) {
      case Kind::watch:
        // A token is used once: EEXIST means that the request was carried out twice.
        if (op->error == "EEXIST") {
          found.push_back({"executed twice", op->key, op->client, op->answered,
                           "a fresh watch was there already"});
        }
        if (fate_of(*op) == Fate::done) life = Life{.watch = op, .reasons = 1};
        break;
      case Kind::unwatch:
        if (op->error == "ENOENT") {
          found.push_back({life ? "executed twice" : "lost write", op->key, op->client,
                           op->answered, "a registered watch was gone when it was taken back"});
        }
        // Events that were under way belong to the life that ends here.
        if (life && op->answered != 0) judge(*life, found);
        life.reset();
        break;
      case Kind::write:
        if (!life) break;
        if (fate_of(*op) != Fate::nothing) ++life->reasons;
        if (fate_of(*op) == Fate::done) life->last_write = op;
        break;
      case Kind::event:
        if (!life) break;
        ++life->events;
        life->last_event = std::max(life->last_event, op->answered);
        break;
      case Kind::read:
      case Kind::begin:
      case Kind::end:
        break;
    }
  }
}

}  // namespace

void check_watches(const History& history, std::vector<Violation>& found) {
  for (const auto& [key, ops] : by_key(history, "w/"))
    check_node(ops, found);
}

}  // namespace ppvmm::xshistory

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "property/generate.hpp"

namespace ppvmm::property {
namespace {

using model::Caller;
using model::Change;
using test::World;

constexpr Caller kDomain0{.domid = 0, .privileged = true};

RC_GTEST_PROP(Tree, AnswersAsAMapWould, ()) {
  World world;
  model::Tree tree = model::empty_tree();
  std::vector<Change> changes;
  for (const auto& operation : operations()) {
    RC_ASSERT(ask(world.dom0, operation) == model::apply(tree, kDomain0, operation, changes));
  }
  RC_ASSERT(same_tree(world.dom0, tree));
}

// Two transactions and writes outside of them, interleaved in any way: a transaction sees the tree
// as it was plus its own changes, and one that commits could have run alone at its end.
RC_GTEST_PROP(Transactions, AreSerialisable, ()) {
  World world;
  test::MachineClient other = world.connect();
  model::Tree committed = model::empty_tree();
  std::vector<Change> changes;
  struct Open {
    test::MachineClient* client;
    std::uint32_t id;
    model::Tree view;
    std::vector<std::pair<model::Operation, model::Answer>> steps;
  };
  for (const auto& operation : operations())
    RC_ASSERT(ask(world.dom0, operation) == model::apply(committed, kDomain0, operation, changes));
  std::vector<Open> open;
  for (test::MachineClient* client : {&world.dom0, &other})
    open.push_back({client, client->start(), committed, {}});

  bool written = false;
  for (const auto& operation : operations()) {
    const auto who = *rc::gen::inRange<std::size_t>(0, 3);
    if (who == 2) {
      RC_ASSERT(ask(other, operation) == model::apply(committed, kDomain0, operation, changes));
      written = true;
      continue;
    }
    Open& transaction = open[who];
    const auto answer = ask(*transaction.client, operation, transaction.id);
    RC_ASSERT(answer == model::apply(transaction.view, kDomain0, operation, changes));
    transaction.steps.emplace_back(operation, answer);
  }
  for (Open& transaction : open) {
    const test::Result end = transaction.client->commit(transaction.id);
    if (!end) {
      RC_ASSERT(end == test::failure("EAGAIN"));
      RC_ASSERT(written);
      continue;
    }
    for (const auto& [operation, answer] : transaction.steps)
      RC_ASSERT(model::apply(committed, kDomain0, operation, changes) == answer);
    written = true;
  }
  RC_ASSERT(same_tree(world.dom0, committed));
}

// Every change of a watched node or of one below it is told; nothing else is.
RC_GTEST_PROP(Watches, TellOfWhatLiesAtOrBelow, ()) {
  World world;
  test::MachineClient watcher = world.connect();
  const std::string watched = *any_path();
  RC_ASSERT(watcher.watch(watched, "token") == test::kOk);
  RC_ASSERT(watcher.events() == (std::vector<test::Event>{{watched, "token"}}));
  model::Tree tree = model::empty_tree();
  for (const auto& operation : operations()) {
    std::vector<Change> changes;
    (void)model::apply(tree, kDomain0, operation, changes);
    (void)ask(world.dom0, operation);
    std::vector<std::string> expected;
    for (const Change& change : changes) {
      const bool below = change.path == watched || change.path.starts_with(watched + '/');
      if (change.exact ? change.path == watched : below) expected.push_back(change.path);
    }
    std::vector<std::string> got;
    for (const auto& event : watcher.events())
      got.push_back(event.path);
    std::ranges::sort(expected);
    std::ranges::sort(got);
    RC_ASSERT(got == expected);
  }
}

// Whatever a guest did, when it is gone nothing is counted for it, and nothing of it is left.
RC_GTEST_PROP(Quotas, ReturnToNothingWhenADomainDies, ()) {
  World world;
  (void)world.dom0.mkdir("/t");
  const auto before = world.machine.statistics();
  const auto digest = world.machine.tree_digest();
  (void)world.dom0.set_perms("/t", {"n0", "b7"});
  {
    test::MachineClient guest = world.create_guest(7);
    std::uint32_t transaction = 0;
    for (const auto& operation : operations()) {
      if (*rc::gen::inRange(0, 5) == 0) transaction = guest.start();
      (void)ask(guest, operation, transaction);
      if (*rc::gen::inRange(0, 3) == 0) (void)guest.watch(operation.path, "w");
      if (*rc::gen::inRange(0, 5) == 0) {
        (void)guest.commit(transaction);
        transaction = 0;
      }
    }
  }
  world.machine.domain_dead(7);
  (void)world.dom0.rm("/local");
  (void)world.dom0.write("/t", "");  // the guest may have written there: not its own node
  const auto after = world.machine.statistics();
  RC_ASSERT(after.nodes == before.nodes);
  RC_ASSERT(after.watches == before.watches);
  RC_ASSERT(after.connections == before.connections);
  RC_ASSERT(world.machine.tree_digest() == digest);
  RC_ASSERT(world.dom0.control({"check"}).ok());
}

// A machine with open transactions, watches and unread answers survives its own stream.
RC_GTEST_PROP(Stream, GivesTheSameMachineBack, ()) {
  World world;
  test::MachineClient guest = world.create_guest(3);
  (void)world.dom0.set_perms("/local/domain/3", {"n3"});
  const std::uint32_t transaction = guest.start();
  for (const auto& operation : operations()) {
    model::Operation at_home = operation;
    at_home.path = "/local/domain/3" + operation.path;
    (void)ask(guest, at_home, *rc::gen::element(transaction, std::uint32_t{0}));
    if (*rc::gen::inRange(0, 4) == 0) (void)guest.watch(at_home.path, "w");
  }
  const auto half = test::strings({"/t"});
  (void)world.machine.receive(guest.connection(), std::as_bytes(std::span{half}));
  const auto dump = world.machine.dump();
  auto copy = store::Machine::load({}, dump);
  RC_ASSERT(copy.has_value());
  RC_ASSERT(copy->dump() == dump);
  RC_ASSERT(copy->tree_digest() == world.machine.tree_digest());
  // No part of a stream is one, and a changed byte is refused or makes another sound machine.
  const auto length = *rc::gen::inRange<std::size_t>(0, dump.size());
  RC_ASSERT(!store::Machine::load({}, std::span{dump}.first(length)).has_value());
  auto changed = dump;
  changed[length] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
  if (auto other = store::Machine::load({}, changed)) {
    test::MachineClient auditor{*other, other->connect_socket()};
    RC_ASSERT(auditor.control({"check"}).ok());
  }
}

}  // namespace
}  // namespace ppvmm::property

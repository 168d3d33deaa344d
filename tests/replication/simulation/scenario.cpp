#include "scenario.hpp"

namespace ppvmm::simulation {
namespace {

using Kind = Action::Kind;

Action act(Kind kind, std::string path = {}, std::string value = {}) {
  return Action{.kind = kind, .path = std::move(path), .value = std::move(value), .domid = 0};
}

std::vector<Action> operator+(std::vector<Action> a, const std::vector<Action>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::string kA = "/shared/a";
const std::string kCount = "/shared/count";

void basics(World& world) {
  world.add_guest(0, boot_script({1}) + std::vector{act(Kind::write, kA), act(Kind::read, kA)});
  world.add_guest(1, {act(Kind::write, "~/x", "1"), act(Kind::read, "~/x"), act(Kind::domain_path),
                      act(Kind::write, "~/x", "2"), act(Kind::read, "~/x"), act(Kind::read, "~/y"),
                      act(Kind::make, "~/d"), act(Kind::write, "~/d/e", "3"),
                      act(Kind::list, "~/d"), act(Kind::garbage), act(Kind::remove, "~/d"),
                      act(Kind::write, kA), act(Kind::read, kA), act(Kind::read, "~/d/e")});
}

void transactions(World& world) {
  world.add_guest(0, boot_script({1, 2}) +
                         std::vector{act(Kind::increment, kCount), act(Kind::increment, kCount)});
  const std::vector<Action> script{act(Kind::write, "~/t", "0"),
                                   act(Kind::increment, kCount),
                                   act(Kind::open, "~/t"),
                                   act(Kind::read, "~/t"),
                                   act(Kind::write, "~/u", "1"),
                                   act(Kind::commit, "~/t", "OK"),
                                   act(Kind::open, "~/t"),
                                   act(Kind::write, "~/t", "meanwhile"),
                                   act(Kind::commit, "~/t", "EAGAIN"),
                                   act(Kind::abandon, "~/t"),
                                   act(Kind::increment, kCount),
                                   act(Kind::read, "~/t")};
  world.add_guest(1, script);
  world.add_guest(2, script);
}

void watches(World& world) {
  const std::vector<Action> writes{act(Kind::write, kA, std::string(300, 'w')),
                                   act(Kind::write, "/shared/b"), act(Kind::write, kA),
                                   act(Kind::write, "/shared/c"), act(Kind::write, kA)};
  world.add_guest(0, boot_script({1, 2}) + writes + writes);
  world.add_guest(1, {act(Kind::watch, kA), act(Kind::watch, "/shared/b"), act(Kind::read, kA),
                      act(Kind::write, kA), act(Kind::unwatch, "/shared/b")});
  // Reads so little at a time that its ring is full of events.
  Guest& slow = world.add_guest(
      2, {act(Kind::watch, kA), act(Kind::watch, "/shared/c"), act(Kind::write, "~/x", "1"),
          act(Kind::read, "~/x"), act(Kind::write, "~/x", "2"), act(Kind::read, "~/x")});
  slow.chunk = 24;
}

void large_messages(World& world) {
  const std::string large(3500, 'L');
  Guest& first = world.add_guest(
      0, boot_script({1}) + std::vector{act(Kind::write, "~/l", large), act(Kind::read, "~/l"),
                                        act(Kind::write, "~/m", large + "2"),
                                        act(Kind::read, "~/m"), act(Kind::read, "~/l"),
                                        act(Kind::read, "~/m"), act(Kind::write, "~/n", "3")});
  first.depth = 6;
  Guest& other =
      world.add_guest(1, {act(Kind::write, "~/l", std::string(1300, 'a')), act(Kind::read, "~/l"),
                          act(Kind::read, "~/l"), act(Kind::write, "~/l", std::string(1008, 'b')),
                          act(Kind::read, "~/l"), act(Kind::write, "~/k", std::string(1400, 'c')),
                          act(Kind::read, "~/l"), act(Kind::read, "~/k")});
  other.depth = 6;
}

void reconnection(World& world) {
  world.add_guest(0, boot_script({1}) + std::vector{act(Kind::write, kA), act(Kind::write, kA)});
  world.add_guest(1, {act(Kind::write, "~/x", "1"), act(Kind::watch, kA), act(Kind::read, "~/x"),
                      act(Kind::reconnect), act(Kind::write, "~/x", "2"), act(Kind::watch, kA),
                      act(Kind::read, "~/x"), act(Kind::reconnect), act(Kind::read, "~/x"),
                      act(Kind::increment, kCount)});
}

void introductions(World& world) {
  world.add_guest(0, boot_script({1, 2, 3}) +
                         std::vector{act(Kind::watch, "@releaseDomain"), act(Kind::write, kA)});
  for (const DomId domid : {DomId{1}, DomId{2}, DomId{3}}) {
    world.add_guest(domid, {act(Kind::write, "~/x", "1"), act(Kind::increment, kCount),
                            act(Kind::read, "~/x")});
  }
}

Setup short_log() {
  Setup setup;
  setup.checkpoints.min_records = 3;
  return setup;
}

Setup one_backup() {
  Setup setup;
  setup.second_backup = false;
  return setup;
}

}  // namespace

std::vector<Action> boot_script(const std::vector<DomId>& guests) {
  std::vector<Action> script{act(Kind::write, "/shared"),   act(Kind::permit, "/shared", "b0"),
                             act(Kind::write, kA),          act(Kind::write, "/shared/b"),
                             act(Kind::write, "/shared/c"), act(Kind::plain, kCount, "0")};
  for (const DomId domid : guests) {
    const std::string home = "/local/domain/" + std::to_string(domid);
    script.push_back(act(Kind::plain, home));
    script.push_back(act(Kind::permit, home, "n" + std::to_string(domid)));
    Action introduce = act(Kind::introduce);
    introduce.domid = domid;
    script.push_back(introduce);
  }
  return script;
}

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all{
      {"basics", {}, basics},
      {"basics with one backup", one_backup(), basics},
      {"transactions", {}, transactions},
      {"watches", {}, watches},
      {"large messages", {}, large_messages},
      {"reconnection", {}, reconnection},
      {"introductions", {}, introductions},
      {"checkpoints every few records", short_log(), transactions},
  };
  return all;
}

std::vector<Action> random_script(Random& random, std::size_t length, bool privileged) {
  static constexpr Kind kKinds[] = {
      Kind::write,   Kind::write,       Kind::read,    Kind::read,      Kind::remove,
      Kind::make,    Kind::list,        Kind::watch,   Kind::increment, Kind::increment,
      Kind::abandon, Kind::domain_path, Kind::garbage, Kind::reconnect};
  static const std::string kOwn[] = {"~/a", "~/b", "~/c/d", "~/c/e"};
  static const std::string kShared[] = {kA, "/shared/b", "/shared/c"};
  std::vector<Action> script;
  std::vector<std::string> watched;
  for (const std::string& path : {kOwn[0], std::string{"~/c"}})
    script.push_back(act(Kind::write, path, "begin"));
  while (script.size() < length) {
    Action action = act(random.pick(kKinds));
    const bool shared = random.chance(40);
    switch (action.kind) {
      case Kind::write:
        action.path = shared ? random.pick(kShared) : random.pick(kOwn);
        action.value = std::string(random.some(random.chance(10) ? 1900 : 60), 'v') +
                       std::to_string(random.below(1000));
        if (privileged && random.chance(5)) action.value += std::string(2000, 'V');
        break;
      case Kind::read:
        action.path = shared ? random.pick(kShared) : random.pick(kOwn);
        break;
      case Kind::remove:
        action.path = "~/c/d";
        break;
      case Kind::make:
        action.path = random.pick(kOwn);
        break;
      case Kind::list:
        action.path = "~/c";
        break;
      case Kind::watch: {
        action.path = random.pick(kShared);
        bool again = false;
        for (const std::string& path : watched)
          again = again || path == action.path;
        if (again) continue;
        watched.push_back(action.path);
        break;
      }
      case Kind::increment:
        action.path = kCount;
        break;
      case Kind::abandon:
        action.path = "~/a";
        break;
      case Kind::reconnect:
        if (!random.chance(20)) continue;
        watched.clear();
        break;
      default:
        break;
    }
    script.push_back(action);
  }
  return script;
}

}  // namespace ppvmm::simulation

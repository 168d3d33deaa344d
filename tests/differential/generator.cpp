#include "differential/generator.hpp"

#include <stdint.h>
#include <xen/io/xs_wire.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "differential/random.hpp"

namespace ppvmm::differential {
namespace {

using std::string_literals::operator""s;

constexpr std::uint16_t kDomains = 4;  // d1..d4; d4 is made by chance only
constexpr std::uint16_t kSockets = 2;  // s0, s1
constexpr std::uint8_t kSlots = 3;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_{seed} {}

  Scenario run(std::size_t steps) {
    if (random_.one_in(3)) scenario_.limits = {24, 4, 2, 256};
    gentle_ = random_.one_in(2);
    prelude();
    for (std::size_t i = 0; i < steps; ++i)
      one();
    return std::move(scenario_);
  }

 private:
  void prelude();
  void one();
  void world();
  void node(Actor actor);
  void watch(Actor actor);
  void transaction(Actor actor);
  void administration(Actor actor);
  void odd(Actor actor);

  Step& add(Actor actor, std::uint32_t type, std::string payload) {
    Step step;
    step.actor = actor;
    step.type = type;
    step.payload = std::move(payload);
    // Longer ones break the protocol: a case of its own, as servers then close the connection.
    step.payload.resize(std::min<std::size_t>(step.payload.size(), XENSTORE_PAYLOAD_MAX));
    return scenario_.steps.emplace_back(std::move(step));
  }
  void happen(Actor actor, Step::Kind kind) {
    Step step;
    step.kind = kind;
    step.actor = actor;
    if (kind == Step::Kind::create) exists_.insert(actor.number);
    if (kind == Step::Kind::destroy) exists_.erase(actor.number);
    scenario_.steps.push_back(std::move(step));
  }
  static Actor socket(std::uint16_t number) { return {Actor::Kind::socket, number}; }
  static Actor domain(std::uint16_t number) { return {Actor::Kind::domain, number}; }
  /// 0 or a domain that exists.
  std::size_t existing_domid() {
    const std::size_t domid = random_.below(kDomains + 1);
    return exists_.contains(static_cast<std::uint16_t>(domid)) ? domid : 0;
  }
  std::uint16_t any_domid() { return static_cast<std::uint16_t>(1 + random_.below(kDomains)); }
  Actor any_actor();
  std::uint8_t any_transaction(Actor actor);
  std::string name();
  std::string path();
  std::string odd_path();
  std::string value();
  std::string permissions();
  void introduce(std::uint16_t domid);

  Random random_;
  /// Keeps to what well-behaved clients do, so that all servers stay comparable for long.
  bool gentle_{};
  Scenario scenario_;
  std::set<std::pair<Actor, std::uint8_t>> open_;  ///< Transactions that are probably open.
  std::set<std::uint16_t> exists_;                 ///< Domains that Xen has.
  std::set<std::uint16_t> alive_;                  ///< Domains introduced, when gentle.
};

Actor Generator::any_actor() {
  if (random_.below(5) < 2) return socket(static_cast<std::uint16_t>(random_.below(kSockets)));
  return domain(any_domid());
}

/// Mostly none; else mostly one that is open.
std::uint8_t Generator::any_transaction(Actor actor) {
  if (random_.below(5) < 2) return 0;
  const auto slot = static_cast<std::uint8_t>(1 + random_.below(kSlots));
  return open_.contains({actor, slot}) || random_.one_in(40) ? slot : 0;
}

std::string Generator::name() {
  constexpr const char* kNames[] = {"a", "b", "c", "d", "@x", "e-1_2"};
  return kNames[random_.below(random_.one_in(8) ? std::size(kNames) : 4)];
}

std::string Generator::path() {
  std::string result;
  switch (random_.below(6)) {
    case 0:
    case 1:
    case 2:
      result = "/t";
      break;
    case 3:
    case 4:
      result = "/local/domain/" + std::to_string(any_domid());
      break;
    default:
      result = name();
  }
  for (std::size_t depth = random_.below(gentle_ ? 3 : 4); depth > 0; --depth)
    result += '/' + name();
  return result;
}

std::string Generator::odd_path() {
  constexpr const char* kOdd[] = {"",
                                  "/",
                                  "//",
                                  "/t/",
                                  "/t//a",
                                  "@releaseDomain",
                                  "a/",
                                  "a//b",
                                  ".",
                                  "/t/a b",
                                  "/t/\xc3\xa4",
                                  "@introduceDomain",
                                  "@other",
                                  "/@t/a",
                                  "/local",
                                  "/tool",
                                  "/local/domain/",
                                  "/local/domain",
                                  "/local/domain/1/",
                                  "/local/domain/01/a",
                                  "/local/domain/99999/a",
                                  "/local/domain/x/a",
                                  "/t/a:b",
                                  "/t/.",
                                  "/t/..",
                                  "@"};
  constexpr std::size_t kLengths[] = {1000, 1023, 1024, 1025, 2000, 2047, 2048,
                                      2049, 2068, 3000, 3071, 3072, 3073, 4000};
  if (!random_.one_in(6)) return random_.of(kOdd);
  std::string result = random_.one_in(2) ? "/t/" : random_.one_in(2) ? "/local/domain/2/" : "";
  const std::size_t length = random_.of(kLengths);
  if (result.size() < length) result.append(length - result.size(), 'l');
  return result;
}

std::string Generator::value() {
  constexpr std::size_t kLengths[] = {100, 180, 200, 220, 240, 1900, 2000, 2020, 2048, 3000, 4000};
  switch (random_.below(8)) {
    case 0:
      return {};
    case 1:
      return "\0\x01zero\0"s;
    case 2:
      return std::string(gentle_ || !random_.one_in(4) ? 40 : random_.of(kLengths), 'v');
    default:
      return "v" + std::to_string(random_.below(100));
  }
}

std::string Generator::permissions() {
  constexpr char kLetters[] = {'n', 'r', 'w', 'b'};
  constexpr const char* kOdd[] = {"", "x1", "r", "n-1", "b99999", "r1x", "rw1", "R1", "n 1", "1"};
  std::string result;
  const std::size_t count = random_.one_in(10) ? 4 + random_.below(5) : 1 + random_.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    if (!gentle_ && random_.one_in(60)) {
      result += random_.of(kOdd) + "\0"s;
      continue;
    }
    const std::size_t domid = random_.one_in(100) ? 77 : existing_domid();
    result += random_.of(kLetters) + std::to_string(domid) + '\0';
  }
  return result;
}

void Generator::introduce(std::uint16_t domid) {
  const std::string id = std::to_string(domid);
  if (gentle_ && !alive_.insert(domid).second) return;
  add(socket(0), XS_INTRODUCE, id + '\0' + std::to_string(4096 + domid) + "\0{port"s + id + "}\0"s);
}

void Generator::prelude() {
  for (std::uint16_t i = 0; i < kSockets; ++i)
    happen(socket(i), Step::Kind::open);
  add(socket(0), XS_RM, "/tool\0"s);
  add(socket(0), XS_WRITE, "/t\0root"s);
  add(socket(0), XS_SET_PERMS, "/t\0b0\0"s);
  for (std::uint16_t domid = 1; domid < kDomains; ++domid) {
    const std::string home = "/local/domain/" + std::to_string(domid) + '\0';
    happen(domain(domid), Step::Kind::create);
    add(socket(0), XS_MKDIR, home);
    add(socket(0), XS_SET_PERMS, home + 'n' + std::to_string(domid) + '\0');
    introduce(domid);
  }
}

void Generator::one() {
  const Actor actor = any_actor();
  const std::size_t choice = random_.below(100);
  if (choice < 62)
    node(actor);
  else if (choice < 74)
    watch(actor);
  else if (choice < 86)
    transaction(actor);
  else if (choice < 92)
    administration(actor);
  else if (choice < 96)
    gentle_ ? node(actor) : odd(actor);
  else
    world();
}

void Generator::node(Actor actor) {
  const std::uint8_t transaction = any_transaction(actor);
  const std::string where = (!gentle_ && random_.one_in(12) ? odd_path() : path()) + '\0';
  const std::size_t choice = random_.below(60);
  std::uint32_t type = XS_READ;
  std::string payload = where;
  if (choice < 20) {
    type = XS_WRITE;
    payload += value();
  } else if (choice < 24) {
    type = XS_MKDIR;
  } else if (choice < 31) {
    type = XS_RM;
  } else if (choice < 37) {
    type = XS_DIRECTORY;
  } else if (choice < 40) {
    type = XS_GET_PERMS;
  } else if (choice < 46) {
    type = XS_SET_PERMS;
    payload += permissions();
  }
  Step& step = add(actor, type, std::move(payload));
  step.transaction = transaction;
  if (choice == 59) step.kind = Step::Kind::list;
}

void Generator::watch(Actor actor) {
  constexpr const char* kSpecial[] = {"@releaseDomain", "@introduceDomain", "@other"};
  constexpr const char* kTokens[] = {"t", "u", "", "token with spaces"};
  if (random_.one_in(20)) {
    // Never inside a transaction: C xenstored 4.17 then uses freed memory (XSA-484).
    add(actor, XS_RESET_WATCHES, "\0"s);
    std::erase_if(open_, [&](const auto& slot) { return slot.first == actor; });
    return;
  }
  std::string where = random_.one_in(6)                ? random_.of(kSpecial)
                      : !gentle_ && random_.one_in(15) ? odd_path()
                                                       : path();
  add(actor, random_.one_in(4) ? XS_UNWATCH : XS_WATCH, where + '\0' + random_.of(kTokens) + '\0')
      .transaction = random_.one_in(10) ? any_transaction(actor) : std::uint8_t{};
}

void Generator::transaction(Actor actor) {
  const auto slot = static_cast<std::uint8_t>(1 + random_.below(kSlots));
  if (!open_.contains({actor, slot})) {
    Step& step = add(actor, XS_TRANSACTION_START, "\0"s);
    step.starts = slot;
    if (random_.one_in(12)) step.transaction = any_transaction(actor);  // nested
    open_.insert({actor, slot});
    return;
  }
  add(actor, XS_TRANSACTION_END, random_.one_in(5) ? "F\0"s : "T\0"s).transaction = slot;
  open_.erase({actor, slot});
}

void Generator::administration(Actor actor) {
  const std::uint16_t domid = any_domid();
  const std::string id = std::to_string(domid) + '\0';
  if (random_.one_in(3)) actor = socket(0);
  switch (random_.below(8)) {
    case 0:
      add(actor, XS_GET_DOMAIN_PATH, id);
      break;
    case 1:
    case 2:
      add(actor, XS_IS_DOMAIN_INTRODUCED, random_.one_in(6) ? "32752\0"s : id);
      break;
    case 3:
      add(actor, XS_RESUME, id);
      break;
    case 4:
      if (!gentle_ || domid < kDomains)
        add(actor, XS_SET_TARGET, id + std::to_string(1 + random_.below(kDomains - 1)) + '\0');
      break;
    case 5:
      if (!gentle_ && random_.one_in(3)) add(actor, XS_RELEASE, id);
      break;
    case 6:
      add(domain(domid), XS_CONTROL, "help\0"s);
      break;
    default:
      introduce(domid);
  }
}

/// Arguments that no library would send.
void Generator::odd(Actor actor) {
  constexpr std::uint32_t kTypes[] = {XS_DIRECTORY,
                                      XS_READ,
                                      XS_GET_PERMS,
                                      XS_WATCH,
                                      XS_UNWATCH,
                                      XS_TRANSACTION_START,
                                      XS_TRANSACTION_END,
                                      XS_GET_DOMAIN_PATH,
                                      XS_WRITE,
                                      XS_MKDIR,
                                      XS_RM,
                                      XS_SET_PERMS,
                                      XS_IS_DOMAIN_INTRODUCED,
                                      XS_RESUME,
                                      XS_SET_TARGET,
                                      XS_RELEASE,
                                      XS_DIRECTORY_PART,
                                      XS_INTRODUCE};
  constexpr std::uint32_t kUnknown[] = {15, 16, 20, 23, 24, 99, 0x10000, 0xffffffff};
  const std::string kPayloads[] = {"?"s,
                                   "\0"s,
                                   "/t"s,
                                   "/t\0\0"s,
                                   "/t\0x"s,
                                   "a\0b\0c\0"s,
                                   "T"s,
                                   "X\0"s,
                                   "0\0"s,
                                   "x\0"s,
                                   "1x\0"s,
                                   "1"s,
                                   "-1\0"s,
                                   "70000\0"s,
                                   "1\0002\0003\0"s,
                                   "1\0"s,
                                   "/t\0n0"s,
                                   "/t\0"
                                   "0\0"s,
                                   "/t\0-1\0"s,
                                   "/t\0"
                                   "99\0"s,
                                   "/t\0n0\0\0"s,
                                   "\0t\0"s,
                                   "/t\0"
                                   "0\0"
                                   "0\0"s};
  if (random_.one_in(5)) {
    add(actor, random_.of(kUnknown), random_.one_in(2) ? "/t\0"s : "x"s);
    return;
  }
  add(actor, random_.of(kTypes), random_.of(kPayloads)).transaction = any_transaction(actor);
}

void Generator::world() {
  const std::uint16_t domid = any_domid();
  switch (random_.below(7)) {
    case 0:
      happen(domain(domid), random_.one_in(2) ? Step::Kind::shutdown : Step::Kind::crash);
      break;
    case 1:
      happen(domain(domid), Step::Kind::resumed);
      break;
    case 2:
      happen(domain(domid), Step::Kind::destroy);
      alive_.erase(domid);
      std::erase_if(open_, [&](const auto& slot) { return slot.first == domain(domid); });
      break;
    case 3:
    case 4:
      happen(domain(domid), Step::Kind::create);
      introduce(domid);
      break;
    case 5:
      happen(socket(1), Step::Kind::close);
      happen(socket(1), Step::Kind::open);
      std::erase_if(open_, [&](const auto& slot) { return slot.first == socket(1); });
      break;
    default:
      introduce(domid);
  }
}

}  // namespace

Scenario generate(std::uint64_t seed, std::size_t steps) {
  return Generator{seed}.run(steps);
}

}  // namespace ppvmm::differential

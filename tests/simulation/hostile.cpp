#include "simulation/hostile.hpp"

#include <array>
#include <string>

#include "store/path.hpp"

namespace ppvmm::simulation {
namespace {

using store::MessageType;

std::string string0(std::string_view text) {
  return std::string{text} + '\0';
}

std::string some_path(Random& random, const Hostile& hostile) {
  constexpr std::array<std::string_view, 8> kPaths{
      "/", "/shared", "/local/domain/1", "/tool/xenstored", "@releaseDomain", "", "//", "a b"};
  if (random.chance(30)) return std::string{random.pick(kPaths)};
  std::string path = random.chance(50) ? std::string{} : store::domain_path(hostile.domid) + '/';
  const std::size_t depth = random.some(40);
  for (std::size_t i = 0; i < depth; ++i) {
    if (i > 0) path += '/';
    path += std::to_string(random.below(30));
  }
  return path;
}

std::string some_payload(Random& random, const Hostile& hostile, MessageType type) {
  switch (type) {
    case MessageType::write:
      return string0(some_path(random, hostile)) + std::string(random.below(2500), 'w');
    case MessageType::watch:
    case MessageType::unwatch:
      return string0(some_path(random, hostile)) +
             string0(std::string(random.chance(5) ? random.below(3500) : random.below(9), 't'));
    case MessageType::set_perms: {
      std::string payload = string0(some_path(random, hostile));
      const std::size_t count = random.some(8);
      for (std::size_t i = 0; i < count; ++i) {
        payload += string0("rwbn"[random.below(4)] + std::to_string(random.below(70)));
      }
      return payload;
    }
    case MessageType::transaction_end:
      return string0(random.chance(50) ? "T" : "F");
    case MessageType::introduce:
    case MessageType::set_target:
      return string0(std::to_string(random.below(70))) + string0("1") + string0("1");
    default:
      break;
  }
  if (random.chance(5)) return std::string(random.below(4096), static_cast<char>(random.next()));
  return string0(some_path(random, hostile));
}

}  // namespace

void Hostile::act(Random& random) {
  const std::size_t what = random.below(100);
  if (what < 2) {
    scribble(random);
  } else if (what < 4) {
    page.connection = XENSTORE_RECONNECT;
    outgoing.clear();
  } else if (what < 30) {
    // Reads without looking, so that the server goes on.
    page.rsp_cons = page.rsp_prod;
  } else {
    flood(random);
  }
}

void Hostile::scribble(Random& random) {
  const std::array<std::uint32_t*, 7> words{&page.req_cons,       &page.req_prod,   &page.rsp_cons,
                                            &page.rsp_prod,       &page.connection, &page.error,
                                            &page.server_features};
  *words[random.below(words.size())] = static_cast<std::uint32_t>(random.next());
  for (std::size_t i = random.below(64); i > 0; --i) {
    page.req[random.below(sizeof page.req)] = static_cast<char>(random.next());
  }
}

void Hostile::flood(Random& random) {
  if (outgoing.empty()) {
    const auto type = static_cast<MessageType>(random.below(24));
    const auto transaction = static_cast<std::uint32_t>(random.chance(70) ? 0 : random.below(12));
    outgoing = test::encode(type, static_cast<std::uint32_t>(random.next()), transaction,
                            some_payload(random, *this, type));
    if (random.chance(1)) {
      // A length that the bytes do not bear out, from nothing to four gigabytes.
      for (std::size_t i = 12; i < 16; ++i)
        outgoing[i] = static_cast<std::byte>(random.next());
    }
  }
  store::ClientRing ring{page};
  const auto written = ring.requests.write(outgoing);
  if (!written) return;
  outgoing.erase(outgoing.begin(), outgoing.begin() + static_cast<std::ptrdiff_t>(*written));
}

}  // namespace ppvmm::simulation

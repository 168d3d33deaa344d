#include "store/watch_table.hpp"

#include <algorithm>

#include "store/connection.hpp"

namespace ppvmm::store {
namespace {

// FNV-1a with a final mix. Byte by byte, so that all prefixes of a path are hashed in one pass.
class PathHash {
 public:
  void add(char c) { state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U; }
  void add(std::string_view text) {
    for (const char c : text)
      add(c);
  }
  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t mixed = state_ ^ state_ >> 32;
    mixed *= 0x9e3779b97f4a7c15U;
    return mixed ^ mixed >> 29;
  }

 private:
  std::uint64_t state_{0xcbf29ce484222325U};
};

std::uint64_t hash_of(std::string_view path) {
  PathHash hash;
  hash.add(path);
  return hash.value();
}

}  // namespace

std::string_view Watch::path() const {
  return place->path;
}

std::int64_t Watch::charge() const {
  return static_cast<std::int64_t>(sizeof(Watch) + place->path.size() + token.size());
}

WatchTable::~WatchTable() = default;

Watch* WatchTable::find(const Connection& connection, std::string_view path,
                        std::string_view token) const {
  const WatchedPath* place =
      places_.find(hash_of(path), [&](const WatchedPath& other) { return other.path == path; });
  if (place == nullptr) return nullptr;
  for (const auto& watch : place->watches) {
    if (watch->connection == &connection && watch->token == token) return watch.get();
  }
  return nullptr;
}

Watch& WatchTable::add(Connection& connection, std::string_view path, std::string_view token,
                       std::size_t prefix_length) {
  const std::uint64_t hash = hash_of(path);
  WatchedPath* place =
      places_.find(hash, [&](const WatchedPath& other) { return other.path == path; });
  if (place == nullptr) {
    place = new WatchedPath{.path = std::string(path), .watches = {}};
    places_.insert(hash, place);
  }
  place->watches.push_back(std::make_unique<Watch>(
      Watch{&connection, place, std::string(token), next_sequence_++, prefix_length}));
  ++size_;
  return *place->watches.back();
}

void WatchTable::remove(Watch& watch) {
  WatchedPath* const place = watch.place;
  const auto at = std::find_if(place->watches.begin(), place->watches.end(),
                               [&](const auto& other) { return other.get() == &watch; });
  place->watches.erase(at);
  --size_;
  if (place->watches.empty()) {
    places_.erase(hash_of(place->path), place);
    delete place;
  }
}

void WatchTable::match(std::string_view path, Reach reach, std::vector<Watch*>& matches) const {
  matches.clear();
  if (size_ == 0) return;
  const auto collect = [&](std::uint64_t hash, std::string_view prefix) {
    const WatchedPath* place =
        places_.find(hash, [&](const WatchedPath& other) { return other.path == prefix; });
    if (place == nullptr) return;
    for (const auto& watch : place->watches)
      matches.push_back(watch.get());
  };
  PathHash hash;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (reach == Reach::subtree && path[i] == '/' && i > 0)
      collect(hash.value(), path.substr(0, i));
    hash.add(path[i]);
    if (reach == Reach::subtree && i == 0 && path[0] == '/' && path.size() > 1) {
      collect(hash.value(), path.substr(0, 1));
    }
  }
  collect(hash.value(), path);
  std::sort(matches.begin(), matches.end(), [](const Watch* a, const Watch* b) {
    if (a->connection != b->connection) return a->connection->id < b->connection->id;
    return a->sequence < b->sequence;
  });
}

}  // namespace ppvmm::store

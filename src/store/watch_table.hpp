/// Watches, found by path: firing costs the length of the path plus the watches that match,
/// however many there are. Spec: xenstore.txt, "Watches".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/pointer_table.hpp"
#include "store/types.hpp"

namespace ppvmm::store {

struct Connection;
struct WatchedPath;

struct Watch {
  Connection* connection{};
  WatchedPath* place{};
  std::string token;
  std::uint64_t sequence{};     ///< Order of registration, over all connections.
  std::size_t prefix_length{};  ///< Bytes to leave off event paths: the watch's path was relative.

  [[nodiscard]] std::string_view path() const;
  /// `path` as this watch's client is to see it.
  [[nodiscard]] std::string_view shown(std::string_view path) const {
    return path.substr(prefix_length);
  }
  /// Bytes the watch counts for in its domain's memory.
  [[nodiscard]] std::int64_t charge() const;
};

struct WatchedPath {
  std::string path;
  std::vector<std::unique_ptr<Watch>> watches;  ///< In order of registration.
};

/// Whose watches a change concerns.
enum class Reach : std::uint8_t {
  exact,    ///< Watches on the changed node itself: it goes because an ancestor goes.
  subtree,  ///< Watches on the node and on all its ancestors.
};

class WatchTable {
 public:
  WatchTable() = default;
  WatchTable(const WatchTable&) = delete;
  WatchTable& operator=(const WatchTable&) = delete;
  ~WatchTable();

  [[nodiscard]] Watch* find(const Connection& connection, std::string_view path,
                            std::string_view token) const;
  Watch& add(Connection& connection, std::string_view path, std::string_view token,
             std::size_t prefix_length);
  void remove(Watch& watch);
  /// Watches that a change of `path` concerns, sorted by connection and then by registration, into
  /// `matches`, whose old contents go.
  void match(std::string_view path, Reach reach, std::vector<Watch*>& matches) const;
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  PointerTable<WatchedPath> places_;
  std::size_t size_{};
  std::uint64_t next_sequence_{1};
};

}  // namespace ppvmm::store

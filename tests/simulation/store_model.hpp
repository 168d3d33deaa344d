/// What all honest clients together must see: the committed tree, and who is owed which event.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/model.hpp"

namespace ppvmm::simulation {

struct WatchModel {
  std::string path;             ///< Absolute, or a special name.
  std::string token;            ///< Unique among all watches ever registered.
  std::size_t prefix_length{};  ///< Bytes that the client does not see of event paths.
};

/// Events a client must or may get. The server may tell once of several changes as long as the one
/// event is still wholly unsent when the last of them happens.
class Owed {
 public:
  using Key = std::pair<std::string, std::string>;  ///< Path as shown, token.

  /// An event was fired when `sent` bytes of the client's stream were out.
  void must(Key key, std::uint64_t sent);
  /// An event may have been fired.
  void may(Key key) { ++entries_[std::move(key)].fired; }
  /// An event came, starting at byte `position` of the stream. False: nobody fired it.
  [[nodiscard]] bool take(const Key& key, std::uint64_t position);
  /// All that was owed with this token may now stay away: the watch was removed.
  void release(std::string_view token);
  void clear() { entries_.clear(); }
  /// The key of an event that had to come and did not, or null.
  [[nodiscard]] const Key* missing() const;

 private:
  struct Entry {
    std::uint64_t fired{};  ///< Less those that came.
    std::uint64_t due_from{};
    bool due{};
  };
  std::map<Key, Entry> entries_;
};

/// An open transaction: what it sees, and what it asked and was told.
struct TransactionModel {
  std::uint32_t id{};  ///< Zero until the server's answer came.
  model::Tree view;
  std::uint64_t started_at{};  ///< StoreModel::version then.
  struct Step {
    model::Operation operation;
    model::Answer answer;
  };
  std::vector<Step> steps;
  std::vector<model::Change> changes;  ///< Of the view.
  /// A domain died meanwhile: the rights it had were taken out of snapshots too, and what the
  /// transaction was told of rights before may be out of date without it having to fail.
  bool rights_withdrawn{};
};

struct StoreModel {
  model::Tree tree{model::empty_tree()};
  std::uint64_t version{};  ///< Rises whenever anybody, hostile domains included, may have written.
};

/// Whether the transaction could have run alone, now, and been told the same: then it takes effect
/// on the tree and `changes` has what it changed. Otherwise the tree stays.
[[nodiscard]] bool commit(StoreModel& store, const TransactionModel& transaction,
                          const model::Caller& caller, std::vector<model::Change>& changes);

/// Whether a change concerns a watch.
[[nodiscard]] bool concerns(const model::Change& change, const WatchModel& watch);

}  // namespace ppvmm::simulation

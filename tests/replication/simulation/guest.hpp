/// A client behind a ring page: sends what its script says, in pieces of any size, and checks every
/// byte that comes back against what it knows must come.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../../simulation/random.hpp"
#include "../../support/message.hpp"
#include "../memory.hpp"
#include "history.hpp"
#include "store/ring.hpp"
#include "store/types.hpp"

namespace ppvmm::simulation {

using store::DomId;
using store::MessageType;

/// One thing a client does. Paths that begin with "~" are its own: nobody else writes them, so it
/// knows every answer exactly.
struct Action {
  enum class Kind : std::uint8_t {
    write,  ///< `path` := `value`; a shared path gets a value never written before.
    plain,  ///< `path` := `value`, whoever else writes there.
    read,
    remove,
    make,
    list,   ///< DIRECTORY of an own path.
    watch,  ///< Registers, and from then on reads the node after each event.
    unwatch,
    increment,    ///< A transaction that adds one to the number at `path`, repeated on EAGAIN.
    abandon,      ///< A transaction that writes `path` and is thrown away.
    open,         ///< A transaction that reads and writes `path` and stays open until `commit`.
    commit,       ///< Ends it; the outcome must be consistent with what others did.
    introduce,    ///< Domain number `domid`.
    permit,       ///< SET_PERMS of `path` to `value`.
    domain_path,  ///< GET_DOMAIN_PATH: a read without a path.
    garbage,      ///< A request type that nobody knows.
    reconnect,    ///< Half a request, and then the ring is reset.
  };
  Kind kind{};
  std::string path;
  std::string value;
  DomId domid{};
};

/// Where guests report what is wrong. The first complaint ends the run.
class Complaints {
 public:
  void add(const std::string& text) {
    if (text_.empty()) text_ = text;
  }
  [[nodiscard]] bool any() const { return !text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Guest {
 public:
  struct Shared {
    Random& random;
    History& history;
    Complaints& complaints;
    Moment& now;
    /// Increments acknowledged, per path.
    std::map<std::string, std::uint64_t>& increments;
  };

  Guest(DomId domid, Shared shared, std::vector<Action> script);

  [[nodiscard]] DomId domid() const { return domid_; }
  [[nodiscard]] test::Memory& page() { return *page_; }
  /// May it talk yet? The world switches it on when it is introduced.
  void start() { started_ = true; }
  void extend(const std::vector<Action>& more) {
    script_.insert(script_.end(), more.begin(), more.end());
  }
  /// Called with the domid after an INTRODUCE was answered.
  std::function<void(DomId)> on_introduced;
  /// Requests under way at one time.
  std::size_t depth{4};
  /// Bytes moved at a time, at most.
  std::size_t chunk{2000};

  /// Reads and writes the ring. True if it sends the server an event, which it does as seldom as
  /// Linux: for what it wrote into an empty queue (xb_write), for what it took from a full one
  /// (xb_read).
  bool step();
  /// Everything said and everything answered.
  [[nodiscard]] bool done() const;
  [[nodiscard]] std::string describe() const;
  /// In a sequence of dependent requests, whose last one may be executed and not yet answered.
  [[nodiscard]] bool in_sequence() const { return exclusive_; }
  /// Its own nodes as they must be.
  [[nodiscard]] const std::map<std::string, std::string>& nodes() const { return nodes_; }
  /// Watched path -> value read after the newest event.
  [[nodiscard]] const std::map<std::string, std::string>& watched() const { return watched_; }
  /// Answers and events checked so far.
  [[nodiscard]] std::uint64_t answers() const { return answers_; }

 private:
  using Check = std::function<void(const test::Message&)>;
  struct Expected {
    std::uint32_t id;
    MessageType type;
    Check check;
  };

  [[nodiscard]] store::RingPage& ring_page();
  [[nodiscard]] std::string own(const std::string& path) const;
  void complain(const std::string& what) const;
  void send(MessageType type, const std::string& payload, Check check,
            std::uint32_t transaction = 0);
  /// The answer must be this payload exactly, or this error if it begins with "E".
  [[nodiscard]] Check exactly(std::string expected) const;
  void begin(const Action& action);
  void begin_own(const Action& action);
  void begin_shared(const Action& action);
  void begin_increment(const std::string& path);
  void begin_open(const Action& action);
  void begin_commit(const Action& action);
  void read_watched(const std::string& path);
  void receive(const test::Message& message);
  bool reconnect();

  DomId domid_;
  Shared shared_;
  std::unique_ptr<test::Memory> page_;
  store::ClientRing ring_;
  bool started_{};
  std::deque<Action> script_;
  std::deque<Expected> expected_;
  test::Bytes unsent_;
  test::Decoder decoder_;
  std::uint32_t next_id_{1};
  std::uint64_t next_value_{1};
  bool exclusive_{};  ///< A sequence is under way whose steps depend on each other.
  std::map<std::string, std::string> nodes_;
  std::map<std::string, std::string> tokens_;  ///< Watched path -> token.
  std::set<std::string> unwatched_;
  std::map<std::string, std::string> watched_;
  std::deque<std::string> to_read_;
  std::string open_;  ///< Id of the transaction that stays open.
  enum class Reset : std::uint8_t { none, half_sent, asked };
  Reset reset_{};
  std::uint64_t answers_{};
};

}  // namespace ppvmm::simulation

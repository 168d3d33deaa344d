/// An honest client: it makes requests, knows what each must answer, and complains.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/random.hpp"
#include "simulation/store_model.hpp"
#include "store/machine.hpp"
#include "support/message.hpp"

namespace ppvmm::simulation {

using store::DomId;
using test::Bytes;

/// One request on its way to the server.
struct Request {
  enum class What {
    operation,
    watch,
    unwatch,
    start,
    commit,
    abort,
    reset_watches,
    introduce,
    release,
    is_introduced,
    domain_path,
  };
  What what{};
  std::uint32_t id{};
  std::uint32_t transaction{};
  model::Operation operation{};
  WatchModel watch{};
  DomId domid{};        ///< introduce, release, is_introduced, domain_path.
  std::uint64_t end{};  ///< Position behind its last byte in the client's stream.
};

/// What the answer to a request that the server has taken must be.
struct Expectation {
  Request::What what{};
  std::uint32_t id{};
  bool sort_names{};  ///< A listing: any order will do.
  model::Answer answer;
};

/// A client's side of a connection, whatever carries the bytes. A value: copying a world copies it.
class Client {
 public:
  Client() = default;
  Client(model::Caller who, std::string where) : caller{who}, home{std::move(where)} {}

  /// Puts a request into the outgoing stream.
  void ask(Request request);
  /// Takes the server's bytes and checks each message: answers in order and as expected, events
  /// only if they were fired.
  void hear(std::span<const std::byte> bytes);
  /// The connection starts anew: nothing is owed either way.
  void forget();
  /// The server has taken `count` more bytes; calls `run(Request&)` for every request that is now
  /// complete, in order.
  template <class Run>
  void taken(std::size_t count, Run run) {
    taken_ += count;
    while (!asked.empty() && asked.front().end <= taken_) {
      const Request request = asked.front();
      asked.pop_front();
      run(request);
    }
  }

  /// A request whose outcome is seen only from outside is on its way: it travels alone.
  [[nodiscard]] bool holds_back() const {
    return !asked.empty() && (asked.back().what == Request::What::commit ||
                              asked.back().what == Request::What::introduce);
  }
  [[nodiscard]] bool idle() const { return asked.empty() && expected.empty() && outgoing.empty(); }
  [[nodiscard]] TransactionModel* find_transaction(std::uint32_t id);
  void drop_transaction(std::uint32_t id);

  model::Caller caller;
  std::string home;
  Bytes outgoing;                    ///< Asked, but not yet with the transport.
  std::deque<Request> asked;         ///< Not yet taken by the server.
  std::deque<Expectation> expected;  ///< Taken, answer not yet seen.
  std::vector<WatchModel> watches;   ///< As the server has them.
  std::vector<TransactionModel> transactions;
  Owed owed;
  std::uint64_t sent_to{};  ///< Bytes the server has put out for this client.
  std::uint64_t answers{};
  std::uint64_t events{};

 private:
  void check(const test::Message& message);

  test::Decoder decoder_;
  std::uint64_t sent_{};   ///< Bytes of all requests so far.
  std::uint64_t taken_{};  ///< Of them, how many the server has.
  std::uint64_t heard_{};  ///< Bytes of all complete messages that came.
  std::uint32_t next_id_{1};
};

/// Something a client could sensibly ask next. `token` is made unique by the caller's counter;
/// `domains` are those that may be introduced or not.
[[nodiscard]] Request invent(Random& random, const Client& client, std::uint32_t& tokens,
                             std::span<const DomId> domains);

/// Hostile domains have these ids and homes; what happens there is nobody's expectation.
inline constexpr DomId kFirstHostile = 60;
inline constexpr DomId kLastHostile = 69;
[[nodiscard]] inline bool in_hostile_home(std::string_view path) {
  return path.starts_with("/local/domain/6");
}

}  // namespace ppvmm::simulation

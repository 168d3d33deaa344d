/// The unikernel's own XenStore connection: the ring that the domain builder made for it, requests
/// as awaitables, watches, transactions.
///
///     const auto mac = co_await store.read(path + "/mac");
///     if (!mac) ...mac.error()...
///
/// A request goes out when it is made, not when it is awaited, so several may be under way at once.
/// Cancelling the task that waits drops the answer. Paths without a leading slash are relative to
/// the domain's own, /local/domain/<id>.
///
/// After a microreboot the stream goes on where the last life stopped (link.hpp); its watches and
/// transactions are ended, and whoever needs a watch sets it again.
#pragma once

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "xenbus/connection.hpp"

namespace ppvmm::xenbus {

class Store;

namespace detail {

/// A request under way. Known to the store by its address while it lives.
class Pending {
 public:
  Pending(Store& store, store::MessageType type, TransactionId transaction,
          std::initializer_list<std::string_view> parts);
  ~Pending();
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  void answer(std::expected<std::string, Error> answer);
  [[nodiscard]] std::uint32_t id() const { return id_; }

 protected:
  Store* store_;
  std::uint32_t id_{};
  std::optional<std::expected<std::string, Error>> answer_;
  kernel::task::Waiter waiter_;
  bool waited_{};
};

}  // namespace detail

/// co_await it: the answer, as `Result`.
template <typename Result>
class [[nodiscard]] Call : private detail::Pending {
 public:
  using Convert = std::expected<Result, Error> (*)(std::string&& payload);
  Call(Store& store, Convert convert, store::MessageType type, TransactionId transaction,
       std::initializer_list<std::string_view> parts)
      : Pending(store, type, transaction, parts), convert_(convert) {}

  [[nodiscard]] bool await_ready() const { return answer_.has_value(); }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.hold(handle);
    waited_ = true;
  }
  [[nodiscard]] std::expected<Result, Error> await_resume() {
    if (!*answer_) return std::unexpected(answer_->error());
    return convert_(std::move(**answer_));
  }

 private:
  Convert convert_;
};

/// A watch: tells when a node, or anything below it, changed. Ends with the object.
class Watch {
 public:
  /// Registers it. `path` may be relative, and events then are too; "@releaseDomain" and
  /// "@introduceDomain" are special. A first event comes at once.
  Watch(Store& store, std::string path);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  class Awaiter {
   public:
    explicit Awaiter(Watch& watch) : watch_(&watch) {}
    [[nodiscard]] bool await_ready() const { return watch_->ready(); }
    void await_suspend(std::coroutine_handle<> handle);
    [[nodiscard]] std::expected<std::string, Error> await_resume() { return watch_->pop(); }

   private:
    Watch* watch_;
    kernel::task::Waiter waiter_;
  };
  /// co_await it: the path that changed. A path that changes again before it was taken comes once;
  /// when too many different ones wait, they are replaced by the watch's own path, which says that
  /// anything below may have changed. An error if the server refused the watch.
  [[nodiscard]] Awaiter next() { return Awaiter{*this}; }
  /// Forgets what was not taken yet.
  void drain() { changed_.clear(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class Store;
  static constexpr std::size_t kQueueMax = 128;

  [[nodiscard]] bool ready() const { return error_.has_value() || !changed_.empty(); }
  [[nodiscard]] std::expected<std::string, Error> pop();
  void fired(std::string_view path);
  void failed(Error error);

  Store* store_;
  std::string path_;
  std::string token_;
  std::uint32_t request_{};  ///< Its WATCH request, until answered.
  std::vector<std::string> changed_;
  std::optional<Error> error_;
  kernel::task::WaitQueue waiting_;
};

class Store final : private Connection::Client {
 public:
  /// Takes the domain's ring over. Panics if the builder made none or memory is short: a unikernel
  /// that needs XenStore can do nothing without. One per unikernel.
  explicit Store(const kernel::Start& start);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] Call<std::string> read(std::string_view path,
                                       TransactionId transaction = kNoTransaction);
  /// The node's value as a decimal number; `invalid` if it is none.
  [[nodiscard]] Call<std::uint64_t> read_number(std::string_view path,
                                                TransactionId transaction = kNoTransaction);
  /// The names of the children.
  [[nodiscard]] Call<std::vector<std::string>> directory(
      std::string_view path, TransactionId transaction = kNoTransaction);
  /// Creates the node and those above it if need be.
  [[nodiscard]] Call<bool> write(std::string_view path, std::string_view value,
                                 TransactionId transaction = kNoTransaction);
  [[nodiscard]] Call<bool> write_number(std::string_view path, std::uint64_t value,
                                        TransactionId transaction = kNoTransaction);
  [[nodiscard]] Call<bool> mkdir(std::string_view path, TransactionId transaction = kNoTransaction);
  /// The node and all below it.
  [[nodiscard]] Call<bool> rm(std::string_view path, TransactionId transaction = kNoTransaction);
  /// `permissions` as xenstore.txt has them: "n0", "r5" ..., the owner first.
  [[nodiscard]] Call<bool> set_permissions(std::string_view path,
                                           std::initializer_list<std::string_view> permissions,
                                           TransactionId transaction = kNoTransaction);
  /// /local/domain/<domid> of another domain.
  [[nodiscard]] Call<std::string> domain_path(std::uint16_t domid);

  [[nodiscard]] Call<TransactionId> begin();
  /// `again`: others changed what it saw; nothing was done, begin anew.
  [[nodiscard]] Call<bool> commit(TransactionId transaction);
  [[nodiscard]] Call<bool> abort(TransactionId transaction);

  [[nodiscard]] bool broken() const { return connection_->broken(); }

 private:
  friend class detail::Pending;
  friend class Watch;

  static void on_event(void* self, std::uint32_t port);
  void answered(std::uint32_t request_id, std::expected<std::string_view, Error> answer) override;
  void fired(std::string_view path, std::string_view token) override;
  /// Sends without anybody waiting for the answer.
  [[nodiscard]] std::expected<std::uint32_t, Error> send(
      store::MessageType type, TransactionId transaction,
      std::initializer_list<std::string_view> parts);
  void pump();

  std::uint32_t port_;
  std::unique_ptr<Connection> connection_;
  std::vector<detail::Pending*> pending_;
  std::vector<Watch*> watches_;
  std::uint32_t last_watch_{};
};

}  // namespace ppvmm::xenbus

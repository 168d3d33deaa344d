/// One client under load: it asks one thing after the other, checks what it can check at once, and
/// writes down everything for the checker.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "connection.hpp"
#include "history.hpp"

namespace ppvmm::xshistory {

struct Plan {
  std::string server{"/dev/xen/xenbus"};
  std::string base{"/xshistory"};
  std::uint32_t clients{4};
  std::uint64_t seed{1};
  std::uint64_t seconds{10};
  std::uint64_t grace_seconds{20};  ///< How long answers are waited for at the end.
  std::uint32_t pause_us{500};      ///< Between two requests of one client.
  std::uint32_t largest{1800};      ///< Bytes of the largest values.
};

/// Nanoseconds on the monotonic clock.
[[nodiscard]] std::uint64_t now_ns();

class Worker {
 public:
  Worker(const Plan& plan, std::uint32_t number);

  /// Makes what all clients share. By one client, before the others begin.
  void prepare();
  /// Asks until `stop` says so or the server does not answer any more.
  void run(const std::atomic<bool>& stop);
  /// Reads everything once more, and takes back the watches. By one client at a time, when all have
  /// stopped; `shared`: this one reads what all share.
  void settle(bool shared);

  /// What was asked and told so far. From any thread: a client may be stuck in the kernel for ever,
  /// which waits for some answers without a way out (Linux 6.1, xenbus_xs.c, read_reply()).
  [[nodiscard]] History history() const;
  /// Where to publish when the last question that was answered had been asked (ns), for others to
  /// see that this client is served. Must outlive the worker.
  void publish_at(std::uint64_t* seat) { seat_ = seat; }
  /// No answer came in time: nothing more can be asked on this connection.
  [[nodiscard]] bool silent() const { return silent_; }
  /// Questions that are not answered by then never will be. From any thread.
  void give_up_at(std::uint64_t deadline) { deadline_ = deadline; }

 private:
  struct Answer {
    bool ok{};
    std::size_t op{};  ///< Where it stands in the history.
    std::string payload;
    std::string error;
  };
  struct Watched {
    std::string token;
    std::uint64_t reasons{1};     ///< The registration, and each write since.
    std::uint64_t events{};       ///< That came.
    std::uint64_t last_answer{};  ///< Of the last write (or the registration).
    std::uint64_t last_event{};
  };

  Answer ask(xsd_sockmsg_type type, Kind kind, const std::string& key, const std::string& value,
             std::uint32_t transaction, std::initializer_list<std::string_view> parts);
  std::size_t note(Op op);
  void set_value(const Answer& answer, std::string value);
  std::optional<xsload::Message> next_message(std::uint64_t deadline);
  void take_event(const xsload::Message& message);
  void wait_for_event(const std::string& key);

  [[nodiscard]] std::string path(const std::string& key) const { return plan_.base + "/" + key; }
  [[nodiscard]] std::string own(const char* kind, std::uint64_t index) const;
  [[nodiscard]] std::uint64_t draw(std::uint64_t limit);
  [[nodiscard]] std::string fresh_value(bool large);

  Answer write(const std::string& key, const std::string& value, const std::string& name,
               std::uint32_t transaction = 0);
  void read_register(const std::string& key, std::uint32_t transaction = 0);
  void one();
  void touch_register(bool shared);
  void touch_directory();
  void list_directory();
  void touch_permissions();
  std::optional<std::string> get_permissions(const std::string& key);
  void raise_counter();
  void write_pair();
  void read_pair();
  void touch_watch();
  std::optional<std::string> read_number(const std::string& key, std::uint32_t transaction);
  std::uint32_t begin();
  bool end(std::uint32_t transaction, bool commit);

  Plan plan_;
  std::uint32_t number_;
  xsload::Connection connection_;
  std::uint64_t random_;
  std::uint64_t written_{};
  std::uint32_t transactions_{};
  std::map<std::uint32_t, std::uint32_t> numbers_;  // transaction id of the server -> our number
  std::map<std::string, Watched> watched_;
  std::set<std::uint64_t> entries_;
  std::string self_{"0"};  // the client's domain, for permissions
  std::atomic<std::uint64_t> deadline_{~std::uint64_t{0}};
  std::atomic<bool> silent_{};
  std::uint64_t* seat_{};
  mutable std::mutex mutex_;  // guards history_
  History history_;
};

}  // namespace ppvmm::xshistory

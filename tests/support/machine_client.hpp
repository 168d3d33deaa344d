/// A client of the store machine for tests: speaks the wire protocol over receive() and to_send(),
/// so what a test sees is what a guest would see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/machine.hpp"
#include "store/wire.hpp"

namespace ppvmm::test {

using store::ConnId;
using store::DomId;
using store::Machine;
using store::MessageHeader;
using store::MessageType;

/// An answer as it came.
struct Reply {
  MessageHeader header;
  std::string payload;
};

/// A watch event as the client sees it.
struct Event {
  std::string path;
  std::string token;

  friend bool operator==(const Event&, const Event&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Event& event) {
    return out << event.path << " [" << event.token << "]";
  }
};

/// The answer's payload, or the error's name ("ENOENT").
class Result {
 public:
  Result(std::string payload) : text_(std::move(payload)) {}     // NOLINT: reads as the payload
  Result(const char* payload) : Result(std::string(payload)) {}  // NOLINT
  static Result failure(std::string_view error) {
    Result result{std::string(error)};
    result.failed_ = true;
    return result;
  }

  [[nodiscard]] bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] std::string& operator*() { return text_; }
  [[nodiscard]] const std::string& operator*() const { return text_; }
  const std::string* operator->() const { return &text_; }
  std::string* operator->() { return &text_; }

  friend bool operator==(const Result&, const Result&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Result& result) {
    return result.failed_ ? out << "error " << result.text_ : out << '"' << result.text_ << '"';
  }

 private:
  std::string text_;
  bool failed_{};
};

/// What a failed operation gives: `EXPECT_EQ(client.read("/x"), failure("ENOENT"))`.
inline Result failure(std::string_view error) {
  return Result::failure(error);
}

/// What an operation gives that succeeded and has nothing to tell.
inline const Result kOk{""};

/// Each string with its NUL behind it: the payload of most requests.
inline std::string strings(std::initializer_list<std::string_view> parts) {
  std::string payload;
  for (const std::string_view part : parts) {
    payload += part;
    payload += '\0';
  }
  return payload;
}

/// One client of a machine that must outlive it. Copies speak for the same connection, but do not
/// share what they have received.
class MachineClient {
 public:
  MachineClient(Machine& machine, ConnId connection)
      : machine_(&machine), connection_(connection) {}

  [[nodiscard]] ConnId connection() const { return connection_; }

  /// Hands bytes to the machine. What it does not take now waits, and goes with the next call.
  void send_bytes(std::span<const std::byte> bytes) {
    backlog_.insert(backlog_.end(), bytes.begin(), bytes.end());
    push();
  }
  /// Sends one request and returns its id.
  std::uint32_t send(MessageType type, std::string_view payload, std::uint32_t transaction = 0) {
    const MessageHeader header{.type = type,
                               .request_id = next_request_++,
                               .transaction_id = transaction,
                               .length = static_cast<std::uint32_t>(payload.size())};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += payload;
    send_bytes(std::as_bytes(std::span(bytes)));
    return header.request_id;
  }
  /// Offers waiting bytes again, then takes what the machine has for the client.
  void turn() {
    push();
    pull();
    push();
    pull();
  }
  /// Bytes that the machine has not taken yet.
  [[nodiscard]] std::size_t unsent() const { return backlog_.size(); }

  /// The oldest answer not looked at yet.
  std::optional<Reply> next_reply() {
    turn();
    if (replies_.empty()) return std::nullopt;
    Reply reply = std::move(replies_.front());
    replies_.pop_front();
    return reply;
  }
  /// All events since the last call, oldest first.
  std::vector<Event> events() {
    turn();
    return std::exchange(events_, {});
  }

  /// Sends one request and waits for its answer, which must be the next one. "no answer" when the
  /// machine gives none.
  Result call(MessageType type, std::string_view payload, std::uint32_t transaction = 0) {
    const std::uint32_t id = send(type, payload, transaction);
    const auto reply = next_reply();
    if (!reply) return failure("no answer");
    if (reply->header.request_id != id) return failure("an answer to something else");
    if (reply->header.transaction_id != transaction) return failure("another transaction's id");
    if (reply->header.type == MessageType::error) {
      return failure(std::string_view(reply->payload.c_str()));
    }
    if (reply->header.type != type) return failure("an answer of another type");
    return reply->payload;
  }

  // The operations, with payloads as libxenstore sends them and answers without NULs.

  Result read(std::string_view path, std::uint32_t transaction = 0) {
    return call(MessageType::read, strings({path}), transaction);
  }
  Result write(std::string_view path, std::string_view value, std::uint32_t transaction = 0) {
    return done(call(MessageType::write, strings({path}) + std::string(value), transaction));
  }
  Result mkdir(std::string_view path, std::uint32_t transaction = 0) {
    return done(call(MessageType::mkdir, strings({path}), transaction));
  }
  Result rm(std::string_view path, std::uint32_t transaction = 0) {
    return done(call(MessageType::rm, strings({path}), transaction));
  }
  /// Names of the children, each followed by a blank.
  Result directory(std::string_view path, std::uint32_t transaction = 0) {
    return blanks(call(MessageType::directory, strings({path}), transaction));
  }
  /// "n0 r5 ": the permissions, each followed by a blank.
  Result get_perms(std::string_view path, std::uint32_t transaction = 0) {
    return blanks(call(MessageType::get_perms, strings({path}), transaction));
  }
  Result set_perms(std::string_view path, std::initializer_list<std::string_view> permissions,
                   std::uint32_t transaction = 0) {
    return done(call(MessageType::set_perms, strings({path}) + strings(permissions), transaction));
  }
  Result watch(std::string_view path, std::string_view token) {
    return done(call(MessageType::watch, strings({path, token})));
  }
  Result unwatch(std::string_view path, std::string_view token) {
    return done(call(MessageType::unwatch, strings({path, token})));
  }
  /// The id, or 0 if it was refused.
  std::uint32_t start() {
    const Result id = call(MessageType::transaction_start, strings({""}));
    return id ? static_cast<std::uint32_t>(std::stoul(*id)) : 0;
  }
  Result commit(std::uint32_t transaction) { return end(transaction, "T"); }
  Result abort(std::uint32_t transaction) { return end(transaction, "F"); }
  Result end(std::uint32_t transaction, std::string_view how) {
    return done(call(MessageType::transaction_end, strings({how}), transaction));
  }
  Result reset_watches() { return done(call(MessageType::reset_watches, strings({""}))); }
  Result release(DomId domid) { return one_domid(MessageType::release, domid); }
  Result resume(DomId domid) { return one_domid(MessageType::resume, domid); }
  Result is_introduced(DomId domid) {
    return trimmed(call(MessageType::is_domain_introduced, strings({std::to_string(domid)})));
  }
  Result set_target(DomId domid, DomId target) {
    return done(
        call(MessageType::set_target, strings({std::to_string(domid), std::to_string(target)})));
  }
  Result control(std::initializer_list<std::string_view> words) {
    return trimmed(call(MessageType::control, strings(words)));
  }

 private:
  Result one_domid(MessageType type, DomId domid) {
    return done(call(type, strings({std::to_string(domid)})));
  }
  // "OK" and its NUL become "".
  static Result done(Result result) {
    if (!result) return result;
    if (*result != std::string_view("OK\0", 3)) return failure("an answer that is not OK");
    return kOk;
  }
  static Result trimmed(Result result) {
    if (result && result->ends_with('\0')) result->pop_back();
    return result;
  }
  static Result blanks(Result result) {
    if (result) {
      for (char& c : *result) {
        if (c == '\0') c = ' ';
      }
    }
    return result;
  }

  void push() {
    while (!backlog_.empty()) {
      const std::size_t taken = machine_->receive(connection_, backlog_);
      if (taken == 0) return;
      backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
  }
  void pull() {
    const std::span<const std::byte> waiting = machine_->to_send(connection_);
    received_.insert(received_.end(), waiting.begin(), waiting.end());
    machine_->sent(connection_, waiting.size());
    std::size_t at = 0;
    MessageHeader header;
    while (received_.size() - at >= sizeof(header)) {
      std::memcpy(&header, received_.data() + at, sizeof(header));
      if (received_.size() - at - sizeof(header) < header.length) break;
      const std::string payload(
          reinterpret_cast<const char*>(received_.data() + at) + sizeof(header), header.length);
      at += sizeof(header) + header.length;
      if (header.type == MessageType::watch_event) {
        const std::string path = payload.c_str();
        events_.push_back({path, payload.substr(path.size() + 1).c_str()});
      } else {
        replies_.push_back({header, payload});
      }
    }
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Machine* machine_;
  ConnId connection_;
  std::uint32_t next_request_{1};
  std::vector<std::byte> backlog_;
  std::vector<std::byte> received_;
  std::deque<Reply> replies_;
  std::vector<Event> events_;
};

/// A machine with domain 0 on a socket and any number of guests, and a shell that maps every ring
/// it is asked for.
class World {
 public:
  explicit World(store::Options options = {})
      : machine(std::move(options)), dom0(machine, machine.connect_socket()) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Introduces a guest as the toolstack does, and connects it.
  MachineClient introduce(DomId domid) {
    dom0.send(MessageType::introduce, strings({std::to_string(domid), "1", "1"}));
    carry_out_effects();
    (void)dom0.next_reply();
    return guest(domid);
  }
  /// The client of a guest that is introduced.
  MachineClient guest(DomId domid) { return {machine, machine.connection_of(domid).value()}; }
  /// A guest with the home directory that the toolstack gives it, where it may write.
  MachineClient create_guest(DomId domid) {
    const std::string home = "/local/domain/" + std::to_string(domid);
    (void)dom0.mkdir(home);
    (void)dom0.set_perms(home, {"n" + std::to_string(domid)});
    return introduce(domid);
  }
  /// Does what a shell does with effects; gives those of the last round to look at.
  std::vector<store::Effect> carry_out_effects() {
    std::vector<store::Effect> all;
    for (const store::Effect& effect : machine.take_effects()) {
      all.push_back(effect);
      if (effect.kind == store::Effect::Kind::attach_domain) {
        machine.introduced(effect.domid, store::IntroduceResult::attached);
      }
    }
    return all;
  }
  /// A second client on a socket.
  MachineClient connect() { return {machine, machine.connect_socket()}; }

  Machine machine;
  MachineClient dom0;
};

}  // namespace ppvmm::test

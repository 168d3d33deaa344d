#include "worker.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "value.hpp"

namespace ppvmm::xshistory {
namespace {

using xsload::terminated;

constexpr std::uint64_t kShared = 4;   ///< Registers, counters and pairs that all clients share.
constexpr std::uint64_t kOwn = 4;      ///< Registers of each client.
constexpr std::uint64_t kEntries = 6;  ///< Names a client makes and removes in the directory.
constexpr std::uint64_t kWatchWrites = 3;  ///< Writes of one life of a watch.
constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr char kNul = 0;  ///< What TRANSACTION_START has as its body.
/// How long a client waits for an event that must come. A rebirth takes a fraction of it.
constexpr std::uint64_t kEventLimit = 15'000 * kMillisecond;

std::string text(const std::string& payload) {
  return payload.substr(0, payload.find('\0'));
}

}  // namespace

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

Worker::Worker(const Plan& plan, std::uint32_t number)
    : plan_(plan),
      number_(number),
      connection_(plan.server),
      random_(plan.seed * 0x9E37'79B9'7F4A'7C15 + number + 1) {
  connection_.set_blocking(false);
}

std::uint64_t Worker::draw(std::uint64_t limit) {
  // xorshift64*: small, and the same everywhere.
  random_ ^= random_ >> 12U;
  random_ ^= random_ << 25U;
  random_ ^= random_ >> 27U;
  return (random_ * 0x2545'F491'4F6C'DD1D >> 33U) % limit;
}

std::string Worker::own(const char* kind, std::uint64_t index) const {
  return std::string(kind) + "/c" + std::to_string(number_) + "-" + std::to_string(index);
}

std::optional<xsload::Message> Worker::next_message(std::uint64_t deadline) {
  if (auto message = connection_.poll(false)) return message;
  while (true) {
    const std::uint64_t now = now_ns();
    if (now >= deadline) return std::nullopt;
    pollfd readable{connection_.descriptor(), POLLIN, 0};
    const std::uint64_t left = (deadline - now) / kMillisecond + 1;
    ::poll(&readable, 1, static_cast<int>(std::min<std::uint64_t>(left, 100)));
    if (auto message = connection_.poll(true)) return message;
  }
}

History Worker::history() const {
  const std::lock_guard lock(mutex_);
  return history_;
}

std::size_t Worker::note(Op op) {
  const std::lock_guard lock(mutex_);
  history_.push_back(std::move(op));
  return history_.size() - 1;
}

void Worker::set_value(const Answer& answer, std::string value) {
  const std::lock_guard lock(mutex_);
  history_[answer.op].value = std::move(value);
}

void Worker::take_event(const xsload::Message& message) {
  const auto event = xsload::parse_event(message.payload);
  const std::uint64_t now = now_ns();
  std::string key(event.path);
  if (key.starts_with(plan_.base + "/")) key.erase(0, plan_.base.size() + 1);
  const auto found = watched_.find(key);
  // An event of a life that has ended meanwhile is nobody's.
  if (found == watched_.end() || found->second.token != event.token) return;
  found->second.last_event = now;
  ++found->second.events;
  note({number_, Kind::event, 0, now, now, key, found->second.token, {}});
}

Worker::Answer Worker::ask(xsd_sockmsg_type type, Kind kind, const std::string& key,
                           const std::string& value, std::uint32_t transaction,
                           std::initializer_list<std::string_view> parts) {
  Answer answer;
  if (silent_) return answer;
  if (plan_.pause_us != 0) std::this_thread::sleep_for(std::chrono::microseconds(plan_.pause_us));
  Op op{.client = number_, .kind = kind, .key = key, .value = value};
  if (transaction != 0) op.transaction = numbers_[transaction];
  op.invoked = now_ns();
  const std::uint64_t invoked = op.invoked;
  // Noted before it is sent: an answer may never come.
  answer.op = note(std::move(op));
  std::uint64_t answered = 0;
  try {
    const std::uint32_t request = connection_.send(type, transaction, parts);
    while (true) {
      const auto message = next_message(deadline_.load());
      if (!message) {
        silent_ = true;
        break;
      }
      if (message->type == XS_WATCH_EVENT) {
        take_event(*message);
        continue;
      }
      answered = now_ns();
      if (message->type == XS_ERROR && message->request == request) {
        answer.error = text(std::string(message->payload));
      } else {
        xsload::expect_answer(*message, type, request);
        answer.ok = true;
        answer.payload = message->payload;
      }
      break;
    }
  } catch (const xsload::Failure& failure) {
    // The kernel ended the connection, or an answer is not one: no more can be asked.
    answered = now_ns();
    answer.error = std::string("connection: ") + failure.what();
    silent_ = true;
  }
  {
    const std::lock_guard lock(mutex_);
    history_[answer.op].answered = answered;
    history_[answer.op].error = answer.error;
  }
  if (answered != 0 && seat_ != nullptr) {
    std::atomic_ref(*seat_).store(invoked, std::memory_order_release);
  }
  return answer;
}

std::string Worker::fresh_value(bool large) {
  const std::size_t size = large ? 1000 + draw(plan_.largest - 1000) : 8 + draw(80);
  return make_value(number_, ++written_, size);
}

Worker::Answer Worker::write(const std::string& key, const std::string& value,
                             const std::string& name, std::uint32_t transaction) {
  return ask(XS_WRITE, Kind::write, key, name, transaction, {terminated(path(key)), value});
}

void Worker::read_register(const std::string& key, std::uint32_t transaction) {
  const auto answer = ask(XS_READ, Kind::read, key, "", transaction, {terminated(path(key))});
  if (!answer.ok) return;
  set_value(answer, value_name(answer.payload).value_or(std::string(kWrongBytes)));
}

void Worker::touch_register(bool shared) {
  const std::string key =
      shared ? "r/shared-" + std::to_string(draw(kShared)) : own("r", draw(kOwn));
  if (draw(2) == 0) {
    read_register(key);
  } else {
    const std::string value = fresh_value(draw(20) == 0);
    write(key, value, *value_name(value));
  }
}

void Worker::touch_directory() {
  const std::uint64_t entry = draw(kEntries);
  const std::string key = own("s", entry);
  const std::string where = path("d/c" + std::to_string(number_) + "-" + std::to_string(entry));
  if (entries_.contains(entry)) {
    const auto answer = ask(XS_RM, Kind::write, key, "", 0, {terminated(where)});
    if (answer.ok) entries_.erase(entry);
  } else {
    const auto answer = ask(XS_MKDIR, Kind::write, key, "there", 0, {terminated(where)});
    if (answer.ok) entries_.insert(entry);
  }
}

/// One listing is a read of the presence of each of this client's names.
void Worker::list_directory() {
  const auto answer = ask(XS_DIRECTORY, Kind::read, "d/all", "", 0, {terminated(path("d"))});
  if (!answer.ok) return;
  const std::uint64_t answered = now_ns();
  const std::string names = '\0' + answer.payload;
  for (std::uint64_t entry = 0; entry < kEntries; ++entry) {
    const std::string name = '\0' + ("c" + std::to_string(number_) + "-") + std::to_string(entry);
    // The question itself is written down already.
    note({.client = number_,
          .kind = Kind::read,
          .invoked = answered,
          .answered = answered,
          .key = own("s", entry),
          .value = names.find(name + '\0') != std::string::npos ? "there" : ""});
  }
}

void Worker::touch_permissions() {
  const std::string key = own("s", kEntries);
  const std::string where = path("m/c" + std::to_string(number_));
  if (draw(2) == 0) {
    // Only this domain is named: a server withdraws the rights of domains that do not exist.
    constexpr std::string_view kLetters = "nrwb";
    const std::string owner = kLetters[draw(kLetters.size())] + self_;
    const std::string other = kLetters[draw(kLetters.size())] + self_;
    ask(XS_SET_PERMS, Kind::write, key, owner + "," + other, 0,
        {terminated(where), terminated(owner), terminated(other)});
  } else {
    get_permissions(key);
  }
}

std::optional<std::string> Worker::get_permissions(const std::string& key) {
  const std::string where = path("m/c" + std::to_string(number_));
  const auto answer = ask(XS_GET_PERMS, Kind::read, key, "", 0, {terminated(where)});
  if (!answer.ok) return std::nullopt;
  std::string perms = answer.payload;
  while (!perms.empty() && perms.back() == '\0')
    perms.pop_back();
  std::ranges::replace(perms, '\0', ',');
  set_value(answer, perms);
  return perms;
}

std::uint32_t Worker::begin() {
  const auto answer =
      ask(XS_TRANSACTION_START, Kind::begin, "", "", 0, {std::string_view(&kNul, 1)});
  if (!answer.ok) return 0;
  const auto id = static_cast<std::uint32_t>(std::strtoul(answer.payload.c_str(), nullptr, 10));
  numbers_[id] = ++transactions_;
  return id;
}

bool Worker::end(std::uint32_t transaction, bool commit) {
  const std::string how = commit ? "T" : std::string(kAborted);
  return ask(XS_TRANSACTION_END, Kind::end, "", how, transaction, {terminated(how)}).ok;
}

std::optional<std::string> Worker::read_number(const std::string& key, std::uint32_t transaction) {
  const auto answer = ask(XS_READ, Kind::read, key, "", transaction, {terminated(path(key))});
  if (answer.error == "ENOENT") return "0";
  if (!answer.ok) return std::nullopt;
  const bool whole = !answer.payload.empty() &&
                     answer.payload.find_first_not_of("0123456789") == std::string::npos;
  set_value(answer, whole ? answer.payload : std::string(kWrongBytes));
  return whole ? std::optional(answer.payload) : std::nullopt;
}

void Worker::raise_counter() {
  const std::uint32_t transaction = begin();
  if (transaction == 0) return;
  const std::string key = "c/" + std::to_string(draw(kShared));
  const auto value = read_number(key, transaction);
  bool good = value.has_value();
  if (good) {
    const std::string more = std::to_string(std::stoull(*value) + 1);
    good = write(key, more, more, transaction).ok;
  }
  end(transaction, good);
}

void Worker::write_pair() {
  const std::uint32_t transaction = begin();
  if (transaction == 0) return;
  const std::string pair = "p/" + std::to_string(draw(kShared));
  const std::string value = fresh_value(false);
  const std::string name = *value_name(value);
  const bool good = write(pair + "-a", value, name, transaction).ok &&
                    write(pair + "-b", value, name, transaction).ok;
  end(transaction, good);
}

void Worker::read_pair() {
  const std::uint32_t transaction = begin();
  if (transaction == 0) return;
  const std::string pair = "p/" + std::to_string(draw(kShared));
  read_register(pair + "-a", transaction);
  read_register(pair + "-b", transaction);
  end(transaction, true);
}

/// Until an event has come that tells of the last write: every reason has had its own, or one came
/// after the last answer (a server may make one event of several).
void Worker::wait_for_event(const std::string& key) {
  const auto watched = watched_.find(key);
  if (watched == watched_.end() || silent_) return;
  const std::uint64_t limit = std::min(deadline_.load(), now_ns() + kEventLimit);
  try {
    while (watched->second.events < watched->second.reasons &&
           watched->second.last_event <= watched->second.last_answer) {
      const auto message = next_message(limit);
      if (!message) return;
      if (message->type == XS_WATCH_EVENT) take_event(*message);
    }
  } catch (const xsload::Failure&) {
    silent_ = true;  // the next question would say so as well
  }
}

/// A whole life of a watch: registered under a fresh token, some writes, taken back.
void Worker::touch_watch() {
  const std::string key = own("w", draw(2));
  const std::string token = "t" + std::to_string(number_) + "." + std::to_string(++written_);
  const std::string where = path(key);
  Watched& watched = watched_[key] = {.token = token};
  if (!ask(XS_WATCH, Kind::watch, key, token, 0, {terminated(where), terminated(token)}).ok) return;
  watched.last_answer = now_ns();
  for (std::uint64_t i = draw(kWatchWrites + 1); i > 0; --i) {
    const std::string value = fresh_value(false);
    if (write(key, value, *value_name(value)).ok) ++watched.reasons;
    watched.last_answer = now_ns();
  }
  wait_for_event(key);
  ask(XS_UNWATCH, Kind::unwatch, key, token, 0, {terminated(where), terminated(token)});
  watched_.erase(key);
}

void Worker::one() {
  const std::uint64_t choice = draw(100);
  if (choice < 35) {
    touch_register(false);
  } else if (choice < 55) {
    touch_register(true);
  } else if (choice < 65) {
    touch_directory();
  } else if (choice < 70) {
    list_directory();
  } else if (choice < 75) {
    touch_permissions();
  } else if (choice < 85) {
    raise_counter();
  } else if (choice < 90) {
    write_pair();
  } else if (choice < 95) {
    read_pair();
  } else {
    touch_watch();
  }
}

void Worker::prepare() {
  const auto quietly = [&](xsd_sockmsg_type type, std::initializer_list<std::string_view> parts) {
    std::string error;
    connection_.set_blocking(true);
    const std::string answer = connection_.try_call(type, 0, parts, error);
    connection_.set_blocking(false);
    if (!error.empty() && error != "ENOENT") {
      throw xsload::Failure("preparing " + plan_.base + ": " + error);
    }
    return answer;
  };
  quietly(XS_RM, {terminated(plan_.base)});
  for (const char* each : {"r", "d", "c", "p", "w", "m"})
    quietly(XS_MKDIR, {terminated(path(each))});
}

void Worker::run(const std::atomic<bool>& stop) {
  // Who owns what this client makes is who it is. The permissions that the node was made with are
  // the first of its states.
  const std::string mine = path("m/c" + std::to_string(number_));
  if (ask(XS_MKDIR, Kind::write, own("s", kEntries + 1), "there", 0, {terminated(mine)}).ok) {
    const auto perms = get_permissions("d/permissions");
    if (perms && perms->size() > 1) {
      note({.client = number_,
            .kind = Kind::write,
            .invoked = now_ns(),
            .answered = now_ns(),
            .key = own("s", kEntries),
            .value = *perms});
      self_ = perms->substr(1, perms->find(',') - 1);
    }
  }
  while (!stop && !silent_)
    one();
}

void Worker::settle(bool shared) {
  list_directory();
  for (std::uint64_t i = 0; i < kOwn; ++i)
    read_register(own("r", i));
  if (!shared) return;
  for (std::uint64_t i = 0; i < kShared; ++i) {
    read_register("r/shared-" + std::to_string(i));
    read_number("c/" + std::to_string(i), 0);
  }
  const std::uint32_t transaction = begin();
  if (transaction == 0) return;
  for (std::uint64_t i = 0; i < kShared; ++i) {
    const std::string pair = "p/" + std::to_string(i);
    read_register(pair + "-a", transaction);
    read_register(pair + "-b", transaction);
  }
  end(transaction, true);
}

}  // namespace ppvmm::xshistory

#include "guest.hpp"

#include <algorithm>

namespace ppvmm::simulation {
namespace {

using test::Bytes;
using test::Message;

std::string terminated(std::string_view text) {
  return std::string{text} + '\0';
}

std::string shown(const Message& message) {
  std::string text = "type " + std::to_string(static_cast<std::uint32_t>(message.header.type)) +
                     " id " + std::to_string(message.header.request_id) + " \"";
  for (const char c : message.payload.substr(0, 80))
    text += c == '\0' ? '|' : c;
  return text + "\"";
}

}  // namespace

Guest::Guest(DomId domid, Shared shared, std::vector<Action> script)
    : domid_{domid},
      shared_{shared},
      page_{std::make_unique<test::Memory>(4096)},
      ring_{ring_page()},
      script_{script.begin(), script.end()} {}

store::RingPage& Guest::ring_page() {
  return *reinterpret_cast<store::RingPage*>(page_->bytes().data());
}

std::string Guest::own(const std::string& path) const {
  return "/local/domain/" + std::to_string(domid_) + path.substr(1);
}

void Guest::complain(const std::string& what) const {
  shared_.complaints.add("domain " + std::to_string(domid_) + ": " + what);
}

void Guest::send(MessageType type, const std::string& payload, Check check,
                 std::uint32_t transaction) {
  expected_.push_back({next_id_, type, std::move(check)});
  const Bytes bytes = test::encode(type, next_id_++, transaction, payload);
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
}

Guest::Check Guest::exactly(std::string expected) const {
  return [this, expected = std::move(expected)](const Message& message) {
    const bool error = expected.starts_with("E");
    if (message.is_error() != error || message.payload != terminated(expected)) {
      // READ answers carry no NUL.
      if (!error && !message.is_error() && message.payload == expected) return;
      complain("expected \"" + expected.substr(0, 60) + "\", got " + shown(message));
    }
  };
}

bool Guest::done() const {
  return script_.empty() && expected_.empty() && unsent_.empty() && to_read_.empty() &&
         !exclusive_ && reset_ == Reset::none && decoder_.pending() == 0;
}

std::string Guest::describe() const {
  return "domain " + std::to_string(domid_) + ": " + std::to_string(script_.size()) +
         " actions to begin, " + std::to_string(expected_.size()) + " answers awaited, " +
         std::to_string(unsent_.size()) + " bytes unsent" + (started_ ? "" : ", not introduced");
}

bool Guest::reconnect() {
  if (reset_ == Reset::half_sent) {
    if (!unsent_.empty()) return false;
    // Taken or not, the half request must leave no trace. So must open transactions and watches.
    if (!ring_.request_reconnect()) complain("reconnection is not offered");
    reset_ = Reset::asked;
    return true;
  }
  if (!ring_.connected()) return false;
  reset_ = Reset::none;
  decoder_ = {};
  tokens_.clear();
  unwatched_.clear();
  watched_.clear();
  to_read_.clear();
  open_.clear();
  exclusive_ = false;
  return false;
}

bool Guest::step() {
  if (!started_) return false;
  if (ring_.error() != 0) {
    complain("the ring reports error " + std::to_string(ring_.error()));
    return false;
  }
  if (reset_ == Reset::asked) return reconnect();

  while (!exclusive_ && expected_.size() < depth) {
    if (!to_read_.empty()) {
      const std::string path = to_read_.front();
      to_read_.pop_front();
      read_watched(path);
    } else if (!script_.empty()) {
      const Action action = script_.front();
      const bool alone = action.kind == Action::Kind::increment ||
                         action.kind == Action::Kind::open ||
                         action.kind == Action::Kind::reconnect;
      if (alone && !expected_.empty()) break;
      script_.pop_front();
      begin(action);
    } else {
      break;
    }
  }

  bool event = false;
  if (!unsent_.empty()) {
    const std::size_t count = std::min(unsent_.size(), 1 + shared_.random.below(chunk));
    const std::uint32_t before = ring_page().req_prod;
    const auto written = ring_.requests.write(std::span{unsent_}.first(count));
    if (!written) {
      complain("the request ring's indexes are broken");
      return false;
    }
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(*written));
    event = *written > 0 && ring_page().req_cons == before;
  }
  Bytes bytes(1 + shared_.random.below(chunk));
  const auto read = ring_.responses.peek(bytes);
  if (!read) {
    complain("the answer ring's indexes are broken");
    return false;
  }
  if (*read > 0) {
    const bool full = ring_page().rsp_prod - ring_page().rsp_cons == store::kRingBytes;
    ring_.responses.consume(*read);
    decoder_.feed(std::span{bytes}.first(*read));
    event = event || full;
    while (const auto message = decoder_.next())
      receive(*message);
  }
  if (reset_ == Reset::half_sent) event = reconnect() || event;
  return event;
}

void Guest::receive(const Message& message) {
  ++answers_;
  if (message.is_event()) {
    const std::size_t end = message.payload.find('\0');
    const std::string path = message.payload.substr(0, end);
    const auto at = tokens_.find(path);
    if (at == tokens_.end() || message.payload != terminated(path) + terminated(at->second)) {
      complain("an event nobody asked for: " + shown(message));
    } else if (path[0] != '@') {
      to_read_.push_back(path);
    }
    return;
  }
  if (expected_.empty()) {
    complain("an answer to nothing: " + shown(message));
    return;
  }
  const Expected expected = std::move(expected_.front());
  expected_.pop_front();
  if (message.header.request_id != expected.id ||
      (!message.is_error() && message.header.type != expected.type)) {
    complain("awaited the answer to request " + std::to_string(expected.id) + ", got " +
             shown(message));
    return;
  }
  expected.check(message);
}

void Guest::read_watched(const std::string& path) {
  const Moment sent = shared_.now;
  send(MessageType::read, terminated(path), [this, path, sent](const Message& message) {
    if (!message.is_error() &&
        !shared_.history.may_read(path, message.payload, sent, shared_.now)) {
      complain("stale or unknown value at watched " + path + ": " + shown(message));
    }
    if (!unwatched_.contains(path)) watched_[path] = message.payload;
  });
}

void Guest::begin(const Action& action) {
  using Kind = Action::Kind;
  switch (action.kind) {
    case Kind::watch:
      unwatched_.erase(action.path);
      tokens_[action.path] = "token-" + std::to_string(next_id_);
      send(MessageType::watch, terminated(action.path) + terminated(tokens_[action.path]),
           exactly("OK"));
      break;
    case Kind::unwatch: {
      // Events may still be on their way, so the token stays known.
      unwatched_.insert(action.path);
      watched_.erase(action.path);
      send(MessageType::unwatch, terminated(action.path) + terminated(tokens_[action.path]),
           exactly("OK"));
      break;
    }
    case Kind::increment:
      exclusive_ = true;
      begin_increment(action.path);
      break;
    case Kind::open:
      begin_open(action);
      break;
    case Kind::commit:
      begin_commit(action);
      break;
    case Kind::introduce:
      send(MessageType::introduce,
           terminated(std::to_string(action.domid)) + terminated(std::to_string(0x1000)) +
               terminated("5"),
           [this, action](const Message& message) {
             exactly("OK")(message);
             if (on_introduced) on_introduced(action.domid);
           });
      break;
    case Kind::plain:
      send(MessageType::write, terminated(action.path) + action.value, exactly("OK"));
      break;
    case Kind::permit:
      send(MessageType::set_perms, terminated(action.path) + terminated(action.value),
           exactly("OK"));
      break;
    case Kind::domain_path:
      send(MessageType::get_domain_path, terminated(std::to_string(domid_)),
           exactly("/local/domain/" + std::to_string(domid_)));
      break;
    case Kind::garbage:
      send(MessageType{77}, terminated("?"), exactly("ENOSYS"));
      break;
    case Kind::reconnect: {
      Bytes half = test::encode(MessageType::write, next_id_++, 0,
                                terminated(own("~/never")) + std::string(1500, 'x'));
      half.resize(1 + shared_.random.below(half.size() - 1));
      unsent_.insert(unsent_.end(), half.begin(), half.end());
      reset_ = Reset::half_sent;
      exclusive_ = true;
      break;
    }
    default:
      action.path[0] == '~' ? begin_own(action) : begin_shared(action);
      break;
  }
}

// Nobody else touches these paths and answers come in order, so the model is right at sending.
void Guest::begin_own(const Action& action) {
  using Kind = Action::Kind;
  const std::string path = own(action.path);
  switch (action.kind) {
    case Kind::write:
      nodes_[path] = action.value;
      send(MessageType::write, terminated(path) + action.value, exactly("OK"));
      break;
    case Kind::read: {
      const auto at = nodes_.find(path);
      send(MessageType::read, terminated(path),
           exactly(at == nodes_.end() ? "ENOENT" : at->second));
      break;
    }
    case Kind::remove: {
      // Done twice, it would answer ENOENT. Removing what is not there below an existing parent
      // is fine in itself, so only existing nodes tell.
      std::erase_if(nodes_, [&](const auto& node) {
        return node.first == path || node.first.starts_with(path + "/");
      });
      send(MessageType::rm, terminated(path), exactly("OK"));
      break;
    }
    case Kind::make:
      nodes_.try_emplace(path, "");
      send(MessageType::mkdir, terminated(path), exactly("OK"));
      break;
    case Kind::list: {
      std::set<std::string> names;
      for (const auto& [node, value] : nodes_) {
        if (node.starts_with(path + "/")) {
          const std::string rest = node.substr(path.size() + 1);
          names.insert(rest.substr(0, rest.find('/')));
        }
      }
      std::string listing;
      for (const std::string& name : names)
        listing += terminated(name);
      send(MessageType::directory, terminated(path), [this, listing](const Message& message) {
        if (message.is_error() || message.payload != listing) {
          complain("wrong listing: " + shown(message));
        }
      });
      break;
    }
    case Kind::abandon: {
      send(MessageType::transaction_start, terminated(""), [this, path](const Message& message) {
        const auto id = static_cast<std::uint32_t>(std::stoul(message.payload));
        send(MessageType::write, terminated(path) + "thrown away", exactly("OK"), id);
        send(MessageType::transaction_end, terminated("F"), exactly("OK"), id);
      });
      break;
    }
    default:
      complain("an action that own paths do not have");
      break;
  }
}

void Guest::begin_shared(const Action& action) {
  const std::string& path = action.path;
  if (action.kind == Action::Kind::write) {
    std::string value = std::to_string(domid_) + "." + std::to_string(next_value_++);
    value += action.value;
    shared_.history.write_sent(path, value, shared_.now);
    send(MessageType::write, terminated(path) + value, [this, path, value](const Message& message) {
      exactly("OK")(message);
      shared_.history.write_answered(path, value, shared_.now);
    });
    return;
  }
  const Moment sent = shared_.now;
  send(MessageType::read, terminated(path), [this, path, sent](const Message& message) {
    if (message.is_error() || !shared_.history.may_read(path, message.payload, sent, shared_.now)) {
      complain("stale or unknown value at " + path + ": " + shown(message));
    }
  });
}

void Guest::begin_increment(const std::string& path) {
  send(MessageType::transaction_start, terminated(""), [this, path](const Message& start) {
    if (start.is_error()) return complain("no transaction: " + shown(start));
    const auto id = static_cast<std::uint32_t>(std::stoul(start.payload));
    const auto read = [this, path, id](const Message& value) {
      if (value.is_error()) return complain("cannot read the counter: " + shown(value));
      const std::string next = std::to_string(std::stoull(value.payload) + 1);
      send(MessageType::write, terminated(path) + next, exactly("OK"), id);
      const auto end = [this, path](const Message& outcome) {
        if (outcome.is_error() && outcome.payload == terminated("EAGAIN")) {
          return begin_increment(path);
        }
        exactly("OK")(outcome);
        ++shared_.increments[path];
        exclusive_ = false;
      };
      send(MessageType::transaction_end, terminated("T"), end, id);
    };
    send(MessageType::read, terminated(path), read, id);
  });
}

void Guest::begin_open(const Action& action) {
  exclusive_ = true;
  const std::string path = own(action.path);
  send(MessageType::transaction_start, terminated(""), [this, path](const Message& start) {
    if (start.is_error()) return complain("no transaction: " + shown(start));
    open_ = start.payload.c_str();
    const auto id = static_cast<std::uint32_t>(std::stoul(open_));
    const auto at = nodes_.find(path);
    send(MessageType::read, terminated(path), exactly(at == nodes_.end() ? "ENOENT" : at->second),
         id);
    send(
        MessageType::write, terminated(path) + "from a transaction",
        [this](const Message& message) {
          exactly("OK")(message);
          exclusive_ = false;
        },
        id);
  });
}

// Its own node is written by nobody else, so the end succeeds exactly if the script did not write
// it meanwhile: `value` says which.
void Guest::begin_commit(const Action& action) {
  const std::string path = own(action.path);
  if (action.value == "OK") nodes_[path] = "from a transaction";
  const auto id = static_cast<std::uint32_t>(std::stoul(open_.empty() ? "0" : open_));
  open_.clear();
  send(MessageType::transaction_end, terminated("T"), exactly(action.value), id);
}

}  // namespace ppvmm::simulation

#include "simulation/client.hpp"

#include <algorithm>

#include "simulation/failure.hpp"
#include "store/path.hpp"

namespace ppvmm::simulation {
namespace {

using store::MessageType;

std::string string0(std::string_view text) {
  return std::string{text} + '\0';
}

MessageType type_of(const Request& request) {
  using Kind = model::Operation::Kind;
  switch (request.what) {
    case Request::What::watch:
      return MessageType::watch;
    case Request::What::unwatch:
      return MessageType::unwatch;
    case Request::What::start:
      return MessageType::transaction_start;
    case Request::What::commit:
    case Request::What::abort:
      return MessageType::transaction_end;
    case Request::What::reset_watches:
      return MessageType::reset_watches;
    case Request::What::introduce:
      return MessageType::introduce;
    case Request::What::release:
      return MessageType::release;
    case Request::What::is_introduced:
      return MessageType::is_domain_introduced;
    case Request::What::domain_path:
      return MessageType::get_domain_path;
    case Request::What::operation:
      break;
  }
  switch (request.operation.kind) {
    case Kind::read:
      return MessageType::read;
    case Kind::directory:
      return MessageType::directory;
    case Kind::get_permissions:
      return MessageType::get_perms;
    case Kind::write:
      return MessageType::write;
    case Kind::mkdir:
      return MessageType::mkdir;
    case Kind::remove:
      return MessageType::rm;
    case Kind::set_permissions:
      break;
  }
  return MessageType::set_perms;
}

/// A domain says some of its paths relative to its home, as guests do.
std::string shown(const Client& client, const std::string& path, std::uint32_t id) {
  const std::string home = client.home + '/';
  if (client.caller.privileged || id % 2 == 0 || !path.starts_with(home)) return path;
  return path.substr(home.size());
}

std::string payload_of(const Client& client, const Request& request) {
  using Kind = model::Operation::Kind;
  const std::string domain = std::to_string(request.domid);
  switch (request.what) {
    case Request::What::watch:
    case Request::What::unwatch:
      return string0(request.watch.path.substr(request.watch.prefix_length)) +
             string0(request.watch.token);
    case Request::What::start:
    case Request::What::reset_watches:
      return string0("");
    case Request::What::commit:
      return string0("T");
    case Request::What::abort:
      return string0("F");
    case Request::What::introduce:
      return string0(domain) + string0("1") + string0(std::to_string(request.domid + 100));
    case Request::What::release:
    case Request::What::is_introduced:
    case Request::What::domain_path:
      return string0(domain);
    case Request::What::operation:
      break;
  }
  const std::string path = string0(shown(client, request.operation.path, request.id));
  if (request.operation.kind == Kind::write) return path + request.operation.value;
  if (request.operation.kind != Kind::set_permissions) return path;
  return path + model::permission_text(request.operation.permissions);
}

std::string sorted_names(std::string_view listing) {
  std::vector<std::string> names;
  for (std::size_t at = 0; at < listing.size();) {
    const std::size_t end = std::min(listing.find('\0', at), listing.size() - 1) + 1;
    names.emplace_back(listing.substr(at, end - at));
    at = end;
  }
  std::ranges::sort(names);
  std::string text;
  for (const auto& name : names)
    text += name;
  return text;
}

std::string printable(std::string_view payload) {
  std::string text;
  for (const char c : payload.substr(0, 120))
    text += c >= ' ' && c <= '~' ? c : '|';
  return text;
}

}  // namespace

void Client::ask(Request request) {
  request.id = next_id_++;
  const Bytes bytes =
      test::encode(type_of(request), request.id, request.transaction, payload_of(*this, request));
  outgoing.insert(outgoing.end(), bytes.begin(), bytes.end());
  sent_ += bytes.size();
  request.end = sent_;
  asked.push_back(std::move(request));
}

void Client::hear(std::span<const std::byte> bytes) {
  decoder_.feed(bytes);
  while (const auto message = decoder_.next()) {
    check(*message);
    heard_ += sizeof message->header + message->payload.size();
  }
}

void Client::check(const test::Message& message) {
  const std::string got = printable(message.payload);
  if (message.is_event()) {
    ++events;
    const auto middle = message.payload.find('\0');
    require(middle != std::string::npos && message.payload.ends_with('\0') &&
                middle + 1 < message.payload.size(),
            "event without path or token: " + got);
    const Owed::Key key{message.payload.substr(0, middle),
                        message.payload.substr(middle + 1, message.payload.size() - middle - 2)};
    require(owed.take(key, heard_) || in_hostile_home(key.first),
            home + " event that nobody fired: " + got);
    return;
  }
  ++answers;
  require(!expected.empty(), "answer without a request: " + got);
  const Expectation want = expected.front();
  expected.pop_front();
  const std::string who = home + " request " + std::to_string(message.header.request_id) + ": ";
  require(message.header.request_id == want.id,
          who + "the answer due was that of request " + std::to_string(want.id) + ", got " + got);
  if (want.answer.error) {
    const std::string text = string0(store::error_text(*want.answer.error));
    require(message.is_error() && message.payload == text,
            who + "expected " + printable(text) + ", got " + got);
    return;
  }
  require(!message.is_error(),
          who + "expected '" + printable(want.answer.payload) + "', got the error " + got);
  if (want.what == Request::What::start) {
    TransactionModel* transaction = find_transaction(0);
    require(transaction != nullptr, who + "transaction started that nobody wanted");
    transaction->id = static_cast<std::uint32_t>(std::stoul(message.payload));
    require(transaction->id != 0, who + "transaction 0 means none");
    return;
  }
  const bool same = want.sort_names
                        ? sorted_names(message.payload) == sorted_names(want.answer.payload)
                        : message.payload == want.answer.payload;
  require(same, who + "expected '" + printable(want.answer.payload) + "', got '" + got + "'");
}

void Client::forget() {
  outgoing.clear();
  asked.clear();
  expected.clear();
  watches.clear();
  transactions.clear();
  owed.clear();
  decoder_ = {};
  sent_ = taken_ = heard_ = sent_to = 0;
}

TransactionModel* Client::find_transaction(std::uint32_t id) {
  const auto found = std::ranges::find(transactions, id, &TransactionModel::id);
  return found == transactions.end() ? nullptr : &*found;
}

void Client::drop_transaction(std::uint32_t id) {
  std::erase_if(transactions, [&](const auto& transaction) { return transaction.id == id; });
}

}  // namespace ppvmm::simulation

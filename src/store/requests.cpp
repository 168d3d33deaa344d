// From bytes to operations.
#include "store/requests.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "store/path.hpp"

namespace ppvmm::store {
namespace {

struct Operation {
  Status (*run)(State&, const Request&){};
  bool privileged_only{};
  bool ignores_transaction{};  ///< Whatever id the header has.
};

// By MessageType. What has no function is answered with ENOSYS.
constexpr auto kOperations = [] {
  std::array<Operation, static_cast<std::size_t>(MessageType::directory_part) + 1> table{};
  const auto set = [&table](MessageType type, Operation operation) {
    table[static_cast<std::size_t>(type)] = operation;
  };
  using enum MessageType;
  constexpr bool kPrivileged = true;
  set(control, {do_control, kPrivileged});
  set(directory, {do_directory});
  set(read, {do_read});
  set(get_perms, {do_get_perms});
  set(watch, {do_watch, false, true});
  set(unwatch, {do_unwatch, false, true});
  set(transaction_start, {do_transaction_start});
  set(transaction_end, {do_transaction_end});
  set(introduce, {do_introduce, kPrivileged});
  set(release, {do_release, kPrivileged});
  set(get_domain_path, {do_get_domain_path});
  set(write, {do_write});
  set(mkdir, {do_mkdir});
  set(rm, {do_rm});
  set(set_perms, {do_set_perms});
  set(is_domain_introduced, {do_is_domain_introduced, kPrivileged});
  set(resume, {do_resume, kPrivileged});
  set(set_target, {do_set_target, kPrivileged});
  set(reset_watches, {do_reset_watches});
  set(directory_part, {do_directory_part});
  return table;
}();

const Operation* find_operation(MessageType type) {
  const auto number = static_cast<std::size_t>(type);
  if (number >= kOperations.size() || kOperations[number].run == nullptr) return nullptr;
  return &kOperations[number];
}

std::string describe(const Request& request) {
  std::string text = request.client.socket() ? "socket " : "domain ";
  text += std::to_string(request.client.socket() ? static_cast<std::uint32_t>(request.client.id)
                                                 : request.client.domid);
  text += ' ';
  text += message_name(request.header.type);
  text += " tx ";
  text += std::to_string(request.header.transaction_id);
  text += ' ';
  for (const char c : request.payload.all())
    text += c >= ' ' && c <= '~' ? c : ' ';
  return text;
}

Status run(State& state, Request& request) {
  const Operation* operation = find_operation(request.header.type);
  if (operation == nullptr) return std::unexpected(Error::nosys);
  if (operation->privileged_only && !request.client.privileged()) {
    return std::unexpected(Error::acces);
  }
  if (!operation->ignores_transaction && request.header.transaction_id != 0) {
    request.transaction = request.client.find_transaction(request.header.transaction_id);
    if (request.transaction == nullptr) return std::unexpected(Error::noent);
    if (request.transaction->doomed && request.header.type != MessageType::transaction_end) {
      return std::unexpected(Error::again);
    }
  }
  return operation->run(state, request);
}

}  // namespace

std::size_t State::receive(Connection& client, std::span<const std::byte> bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size()) {
    if (!accepts_input(client)) {
      client.stalled = true;
      break;
    }
    const auto rest = bytes.subspan(consumed);
    MessageHeader header;
    std::vector<std::byte>& partial = client.partial;
    if (partial.size() + rest.size() < sizeof(header)) {
      partial.insert(partial.end(), rest.begin(), rest.end());
      return bytes.size();
    }
    // The header lies in what came before, in what came now, or across both.
    const std::size_t header_before = std::min(partial.size(), sizeof(header));
    auto* const header_bytes = reinterpret_cast<std::byte*>(&header);
    std::copy_n(partial.begin(), header_before, header_bytes);
    std::copy_n(rest.begin(), sizeof(header) - header_before, header_bytes + header_before);
    if (header.length > kPayloadMax) {
      break_connection(client, "a payload above the protocol's limit");
      return bytes.size();
    }
    const std::size_t whole = sizeof(header) + header.length;
    const std::size_t missing = whole - partial.size();
    if (missing > rest.size()) {
      if (partial.empty()) partial.reserve(whole);
      partial.insert(partial.end(), rest.begin(), rest.end());
      return bytes.size();
    }
    consumed += missing;
    if (partial.empty()) {
      process(client, rest.first(whole));
    } else {
      partial.insert(partial.end(), rest.begin(),
                     rest.begin() + static_cast<std::ptrdiff_t>(missing));
      // Taken out first: the operation may empty the connection.
      const std::vector<std::byte> message = std::exchange(partial, {});
      process(client, message);
    }
  }
  return consumed;
}

void State::process(Connection& client, std::span<const std::byte> message) {
  MessageHeader header;
  std::memcpy(&header, message.data(), sizeof(header));
  ++counters.requests;
  Request request{.client = client,
                  .header = header,
                  .payload = Payload(message.subspan(sizeof(header))),
                  .transaction = nullptr,
                  .cause = take_ticket(client)};
  if (trace) log(LogRecord::Level::debug, describe(request));
  const Status status = run(*this, request);
  if (!status) answer_error(request, status.error());
}

std::expected<std::string_view, Error> resolve(State& state, const Request& request,
                                               std::string_view given, std::string& buffer,
                                               bool special_allowed) {
  if (given.starts_with('@') && !special_allowed) return std::unexpected(Error::inval);
  std::string_view path = given;
  if (!given.starts_with('/') && !given.starts_with('@')) {
    buffer = domain_path(request.client.domid);
    buffer += '/';
    buffer += given;
    path = buffer;
  }
  if (!is_canonical(path)) return std::unexpected(Error::inval);
  if (!request.client.privileged() && counted_length(path) > state.options.quotas.path_max) {
    state.refuse(request.client, &Quotas::path_max, message_name(request.header.type));
    return std::unexpected(Error::inval);
  }
  return path;
}

}  // namespace ppvmm::store

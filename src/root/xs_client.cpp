#include "root/xs_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ppvmm::root {
namespace {

using namespace std::string_view_literals;
using store::MessageHeader;
using store::MessageType;

constexpr std::string_view kEnd = "\0"sv;
constexpr const char* kSocket = "/var/run/xenstored/socket";
constexpr const char* kDevice = "/dev/xen/xenbus";
/// So many requests are under way at most.
constexpr std::size_t kTogether = 48;

/// io/xs_wire.h, xsd_errors: those that these requests are answered with.
constexpr std::array<std::pair<std::string_view, int>, 15> kErrors{{{"EINVAL", EINVAL},
                                                                    {"EACCES", EACCES},
                                                                    {"EEXIST", EEXIST},
                                                                    {"EISDIR", EISDIR},
                                                                    {"ENOENT", ENOENT},
                                                                    {"ENOMEM", ENOMEM},
                                                                    {"ENOSPC", ENOSPC},
                                                                    {"EIO", EIO},
                                                                    {"ENOTEMPTY", ENOTEMPTY},
                                                                    {"ENOSYS", ENOSYS},
                                                                    {"EROFS", EROFS},
                                                                    {"EBUSY", EBUSY},
                                                                    {"EAGAIN", EAGAIN},
                                                                    {"EISCONN", EISCONN},
                                                                    {"E2BIG", E2BIG}}};

int number_of(std::string_view name) {
  name = name.substr(0, name.find('\0'));
  const auto* const found =
      std::ranges::find(kErrors, name, &std::pair<std::string_view, int>::first);
  return found == kErrors.end() ? EIO : found->second;
}

Failure failure(std::string what, int error) {
  return {.what = std::move(what), .error = error};
}

/// xenstore.txt, SET_PERMS: first the owner, with what everybody else may do: nothing.
std::string text_of(const NodeRights& rights) {
  std::string text = fmt::format("n{}", rights.owner);
  text += '\0';
  if (rights.reader) {
    text += fmt::format("{}{}", rights.writes ? 'b' : 'r', *rights.reader);
    text += '\0';
  }
  return text;
}

std::vector<std::string> strings_of(const std::string& text) {
  std::vector<std::string> all;
  const store::Payload payload(std::as_bytes(std::span(text)));
  std::size_t offset = 0;
  while (const auto next = payload.next_string(offset))
    all.emplace_back(*next);
  return all;
}

/// The first of a request's strings: mostly a path.
std::string_view subject_of(const std::string& payload) {
  return std::string_view(payload).substr(0, payload.find('\0'));
}

int connect_to(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  std::ranges::copy(path, address.sun_path);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

}  // namespace

void XsChanges::add(MessageType type, std::initializer_list<std::string_view> parts) {
  Request request{.type = type, .payload = {}};
  for (const std::string_view part : parts)
    request.payload += part;
  requests_.push_back(std::move(request));
}

void XsChanges::introduce(DomId domid, Mfn ring, std::uint32_t port) {
  add(MessageType::introduce,
      {std::to_string(domid), kEnd, std::to_string(ring), kEnd, std::to_string(port), kEnd});
}

void XsChanges::write(const std::string& path, const std::string& value) {
  add(MessageType::write, {path, kEnd, value});
}

void XsChanges::make(const std::string& path, const NodeRights& rights) {
  add(MessageType::mkdir, {path, kEnd});
  set_rights(path, rights);
}

void XsChanges::set_rights(const std::string& path, const NodeRights& rights) {
  add(MessageType::set_perms, {path, kEnd, text_of(rights)});
}

void XsChanges::replace(const std::string& path, const NodeRights& rights, const Nodes& nodes) {
  remove(path);
  make(path, rights);
  for (const auto& [name, value] : nodes)
    add(MessageType::write, {path, "/", name, kEnd, value});
}

void XsChanges::remove(const std::string& path) {
  add(MessageType::rm, {path, kEnd});
}

XsLine::XsLine(XsLine&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), received_(std::move(other.received_)) {}

XsLine& XsLine::operator=(XsLine&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(received_, other.received_);
  return *this;
}

XsLine::~XsLine() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<void> XsLine::send(std::string_view message, bool socket) const {
  while (!message.empty()) {
    // A daemon that has gone is an error, and no signal.
    const ssize_t written = socket
                                ? ::send(descriptor_, message.data(), message.size(), MSG_NOSIGNAL)
                                : ::write(descriptor_, message.data(), message.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed("ask XenStore");
    message.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::pair<MessageHeader, std::string>> XsLine::receive() {
  for (;;) {
    MessageHeader header;
    if (received_.size() >= sizeof header) {
      std::memcpy(&header, received_.data(), sizeof header);
      if (header.length > store::kPayloadMax) return refused("XenStore's answer is too long");
      if (const std::size_t whole = sizeof header + header.length; received_.size() >= whole) {
        std::pair message(header, received_.substr(sizeof header, header.length));
        received_.erase(0, whole);
        return message;
      }
    }
    std::array<char, sizeof header + store::kPayloadMax> bytes;
    const ssize_t count = ::read(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read XenStore's answer");
    if (count == 0) return refused("XenStore has closed the connection");
    received_.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

XsClient::XsClient(std::vector<XsLine> lines, bool socket)
    : lines_(std::move(lines)), socket_(socket) {}

Result<XsClient> XsClient::open() {
  const char* const named = std::getenv("XENSTORED_PATH");
  if (const int daemon = connect_to(named != nullptr ? named : kSocket); daemon >= 0) {
    return over(daemon);
  }
  std::vector<XsLine> lines;
  while (lines.size() < kTogether) {
    const int descriptor = ::open(kDevice, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return failed("connect to XenStore");
    lines.emplace_back(descriptor);
  }
  return XsClient(std::move(lines), false);
}

XsClient XsClient::over(int socket) {
  std::vector<XsLine> lines;
  lines.emplace_back(socket);
  return {std::move(lines), true};
}

Result<void> XsClient::send(XsLine& line, const Request& request, std::uint32_t number) const {
  const MessageHeader header{.type = request.type,
                             .request_id = number,
                             .transaction_id = transaction_,
                             .length = static_cast<std::uint32_t>(request.payload.size())};
  if (request.payload.size() > store::kPayloadMax) return refused("a request that is too long");
  std::string message(sizeof header, '\0');
  std::memcpy(message.data(), &header, sizeof header);
  message += request.payload;
  return line.send(message, socket_);
}

XsClient::Answer XsClient::take(XsLine& line, const Request& request, std::uint32_t number) {
  auto message = line.receive();
  if (!message) return std::unexpected(message.error());
  auto& [header, payload] = *message;
  const auto what = [&] {
    return fmt::format("XenStore: {} {}", store::message_name(request.type),
                       subject_of(request.payload));
  };
  if (header.request_id != number) return refused(what() + " is answered out of turn");
  if (header.type == MessageType::error) {
    return std::unexpected(failure(what(), number_of(payload)));
  }
  if (header.type != request.type) return refused(what() + " is answered with something else");
  return std::move(payload);
}

/// A transaction belongs to the file that began it.
XsLine& XsClient::line_of(std::size_t request) const {
  return lines_[transaction_ != 0 ? 0 : request % lines_.size()];
}

/// Sends them all, then takes the answers. One that cannot be sent ends it: there is no answer to
/// those behind it, nor to itself.
void XsClient::ask_some(std::span<const Request> requests, std::vector<Answer>& answers) const {
  const std::uint32_t first = number_ + 1;
  Result<void> sent;
  std::size_t count = 0;
  for (; count < requests.size(); ++count) {
    sent = send(line_of(count), requests[count], ++number_);
    if (!sent) break;
  }
  for (std::size_t i = 0; i < count; ++i)
    answers.push_back(take(line_of(i), requests[i], first + static_cast<std::uint32_t>(i)));
  for (std::size_t i = count; i < requests.size(); ++i)
    answers.emplace_back(std::unexpected(sent.error()));
}

/// Linux 6.1, drivers/xen/xenbus: what was written to an open device stays in that file's only
/// buffer until the kernel's thread has put it into the ring, so it may get no second request
/// before it has answered. Those of several files are put there in the order in which they were
/// written (xs_send()).
std::vector<XsClient::Answer> XsClient::ask_all(std::span<const Request> requests) const {
  const std::size_t together = socket_ || transaction_ == 0 ? kTogether : 1;
  std::vector<Answer> answers;
  answers.reserve(requests.size());
  while (!requests.empty()) {
    const std::size_t count = std::min(together, requests.size());
    ask_some(requests.first(count), answers);
    requests = requests.subspan(count);
  }
  return answers;
}

XsClient::Answer XsClient::ask(Request request) const {
  return std::move(ask_all({&request, 1}).front());
}

std::optional<std::string> XsClient::read(const std::string& path) const {
  return std::move(read_all({&path, 1}).front());
}

std::vector<std::string> XsClient::list(const std::string& path) const {
  return std::move(list_all({&path, 1}).front());
}

std::vector<std::optional<std::string>> XsClient::read_all(
    std::span<const std::string> paths) const {
  XsChanges asked;
  for (const std::string& path : paths)
    asked.add(MessageType::read, {path, kEnd});
  std::vector<std::optional<std::string>> values;
  for (Answer& answer : ask_all(asked.requests_)) {
    values.push_back(answer ? std::optional(std::move(*answer)) : std::nullopt);
  }
  return values;
}

std::vector<std::vector<std::string>> XsClient::list_all(std::span<const std::string> paths) const {
  XsChanges asked;
  for (const std::string& path : paths)
    asked.add(MessageType::directory, {path, kEnd});
  std::vector<std::vector<std::string>> all;
  for (const Answer& answer : ask_all(asked.requests_))
    all.push_back(answer ? strings_of(*answer) : std::vector<std::string>());
  return all;
}

Result<void> XsClient::change(const XsChanges& changes) const {
  const auto answers = ask_all(changes.requests_);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool absent = changes.requests_[i].type == MessageType::rm && !answers[i] &&
                        answers[i].error().error == ENOENT;
    if (!answers[i] && !absent) return std::unexpected(answers[i].error());
  }
  return {};
}

Result<void> XsClient::remove(const std::string& path) const {
  XsChanges changes;
  changes.remove(path);
  return change(changes);
}

Result<void> XsClient::in_transaction(const std::function<Result<void>()>& steps) {
  constexpr int kMostTries = 100;
  for (int i = 0; i < kMostTries; ++i) {
    const auto begun = ask({.type = MessageType::transaction_start, .payload = std::string(kEnd)});
    if (!begun) return std::unexpected(begun.error());
    transaction_ = static_cast<std::uint32_t>(std::strtoul(begun->c_str(), nullptr, 10));
    if (transaction_ == 0) return refused("XenStore begins a transaction without a number");
    const auto done = steps();
    std::string end(done ? "T" : "F");
    end += '\0';
    const auto ended = ask({.type = MessageType::transaction_end, .payload = std::move(end)});
    transaction_ = 0;
    if (ended || !done) return done;
    if (ended.error().error != EAGAIN) return std::unexpected(ended.error());
  }
  return refused("a XenStore transaction does not get through");
}

}  // namespace ppvmm::root

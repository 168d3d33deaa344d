#include "connection.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace ppvmm::xsload {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Failure(what + ": " + std::generic_category().message(errno));
}

int open_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Failure(path + ": too long for a socket");
  path.copy(address.sun_path, path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("socket");
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int reason = errno;
    ::close(descriptor);
    errno = reason;
    fail("connecting to " + path);
  }
  return descriptor;
}

}  // namespace

Connection::Connection(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail(path);
  is_socket_ = S_ISSOCK(info.st_mode);
  if (is_socket_) {
    descriptor_ = open_socket(path);
  } else {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0) fail("opening " + path);
  }
}

Connection::~Connection() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Connection::Connection(Connection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      is_socket_(other.is_socket_),
      last_request_(other.last_request_),
      framer_(std::move(other.framer_)) {}

std::uint32_t Connection::send(xsd_sockmsg_type type, std::uint32_t transaction,
                               std::initializer_list<std::string_view> parts) {
  const auto bytes = encode(type, ++last_request_, transaction, parts);
  if (collecting_) {
    collected_ += bytes;
    return last_request_;
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto count = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count < 0 && errno == EAGAIN) {
      pollfd writable{descriptor_, POLLOUT, 0};
      if (::poll(&writable, 1, -1) < 0 && errno != EINTR) fail("poll");
    } else if (count == 0 || errno != EINTR) {
      fail("sending a request");
    }
  }
  return last_request_;
}

std::optional<Message> Connection::poll(bool read) {
  if (read) {
    const auto space = framer_.space();
    const auto count = ::read(descriptor_, space.data(), space.size());
    if (count == 0) throw Failure("the server closed the connection");
    if (count > 0) framer_.filled(static_cast<std::size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) fail("reading an answer");
  }
  return framer_.next();
}

Message Connection::receive() {
  auto message = poll(false);
  while (!message)
    message = poll(true);
  return *message;
}

std::string Connection::try_call(xsd_sockmsg_type type, std::uint32_t transaction,
                                 std::initializer_list<std::string_view> parts,
                                 std::string& error) {
  error.clear();
  const auto request = send(type, transaction, parts);
  auto message = receive();
  while (message.type == XS_WATCH_EVENT)
    message = receive();
  if (message.type == XS_ERROR && message.request == request) {
    error = message.payload.substr(0, message.payload.find('\0'));
    return {};
  }
  expect_answer(message, type, request);
  return std::string(message.payload);
}

std::string Connection::call(xsd_sockmsg_type type, std::uint32_t transaction,
                             std::initializer_list<std::string_view> parts) {
  std::string error;
  auto answer = try_call(type, transaction, parts, error);
  if (!error.empty()) {
    throw Failure("request type " + std::to_string(type) + " for " +
                  std::string(parts.size() == 0 ? "" : parts.begin()->data()) +
                  " was refused: " + error);
  }
  return answer;
}

std::string_view Connection::take_collected() {
  taken_.clear();
  std::swap(taken_, collected_);
  return taken_;
}

void Connection::set_blocking(bool blocking) {
  const int flags = ::fcntl(descriptor_, F_GETFL);
  const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, wanted) < 0) fail("fcntl");
}

void expect_answer(const Message& message, xsd_sockmsg_type type, std::uint32_t request) {
  if (message.request != request) {
    throw Failure("answer to request " + std::to_string(message.request) + " where " +
                  std::to_string(request) + " was waiting");
  }
  if (message.type == XS_ERROR) {
    throw Failure("request type " + std::to_string(type) +
                  " was refused: " + std::string(message.payload));
  }
  if (message.type != static_cast<std::uint32_t>(type)) {
    throw Failure("answer of type " + std::to_string(message.type) + " to a request of type " +
                  std::to_string(type));
  }
}

}  // namespace ppvmm::xsload

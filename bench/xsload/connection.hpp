/// One client's connection: a Unix socket, or an open xenbus device of the kernel.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "wire.hpp"

namespace ppvmm::xsload {

class Connection {
 public:
  /// Connects to `path`: a socket is connected to, anything else is opened as a device file.
  /// Throws Failure with the system's reason.
  explicit Connection(const std::string& path);
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  Connection& operator=(Connection&&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool is_socket() const { return is_socket_; }

  /// Sends one request with one system call (the kernel's device takes one message per write) and
  /// returns the number that its answer will carry.
  std::uint32_t send(xsd_sockmsg_type type, std::uint32_t transaction,
                     std::initializer_list<std::string_view> parts);

  /// Waits for the next message of any kind.
  [[nodiscard]] Message receive();
  /// The next message that is already here, if there is one; reads at most once from the system.
  /// Call it again until it has nothing more to give: `read` only the first time.
  [[nodiscard]] std::optional<Message> poll(bool read);

  /// A whole exchange; watch events that come between are dropped. Returns the answer's payload
  /// and throws Failure on an error answer.
  std::string call(xsd_sockmsg_type type, std::uint32_t transaction,
                   std::initializer_list<std::string_view> parts);
  /// As call(), but an error answer gives its name ("ENOENT") in `error` instead of throwing.
  std::string try_call(xsd_sockmsg_type type, std::uint32_t transaction,
                       std::initializer_list<std::string_view> parts, std::string& error);

  /// Whether reads wait for data (as a new connection's do) or return at once.
  void set_blocking(bool blocking);

  // For a loop that does the system calls itself: send() then only collects bytes.
  void collect(bool collecting) { collecting_ = collecting; }
  /// The bytes collected since the last call; they stay where they are until the next call.
  [[nodiscard]] std::string_view take_collected();
  /// Where the loop shall read to, and its word that `count` bytes came; poll(false) then gives
  /// them.
  [[nodiscard]] std::span<char> space() { return framer_.space(); }
  void arrived(std::size_t count) { framer_.filled(count); }

 private:
  int descriptor_{-1};
  bool is_socket_{};
  std::uint32_t last_request_{};
  Framer framer_;
  bool collecting_{};
  std::string collected_;
  std::string taken_;
};

/// Throws Failure unless `message` is the good answer to `request` of type `type`.
void expect_answer(const Message& message, xsd_sockmsg_type type, std::uint32_t request);

}  // namespace ppvmm::xsload

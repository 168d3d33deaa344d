/// What is measured: one kind of operation at a time, as a little state machine per client.
///
/// The same object serves the blocking loop (one client, latency) and the epoll loop (many clients,
/// throughput): begin() sends the first request, on_message() takes each answer, checks it, and
/// sends the next one or says that the operation is done.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "tree.hpp"

namespace ppvmm::xsload {

class Operation {
 public:
  Operation() = default;
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// Makes the client's own nodes and watches. Not measured; the connection blocks.
  virtual void prepare(Connection& connection) = 0;
  /// Sends the first request of one operation.
  virtual void begin(Connection& connection) = 0;
  /// Takes the next message. True: the operation is complete and was right. Throws Failure when
  /// the answer is wrong.
  [[nodiscard]] virtual bool on_message(Connection& connection, const Message& message) = 0;
  /// Looks, after measuring, whether the store holds what the operations left in it. Blocks.
  virtual void verify(Connection& connection) = 0;
  /// Operations that had to start again because the server saw a conflict.
  [[nodiscard]] virtual std::uint64_t retries() const { return 0; }
};

/// Names that make_operation() knows.
inline constexpr std::string_view kOperations[] = {"read",        "write", "directory",
                                                   "transaction", "watch", "mixed"};

/// The operation `name` for client number `client`. `tree` must outlive it. Throws Failure on an
/// unknown name.
///   read         READ of one shared leaf, at random
///   write        WRITE to one of 4 own nodes, in turn
///   directory    DIRECTORY of one shared directory (kFanOut names), at random
///   transaction  START, five times WRITE and READ of what was just written, END
///   watch        WRITE to an own watched node until the event has arrived
///   mixed        of ten: seven read, two write, one directory
[[nodiscard]] std::unique_ptr<Operation> make_operation(std::string_view name, const Tree& tree,
                                                        std::uint32_t client);

}  // namespace ppvmm::xsload

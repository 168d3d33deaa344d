/// The loops that drive operations: blocking, epoll, io_uring. Which one runs is load.cpp's choice.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "load.hpp"
#include "operation.hpp"

namespace ppvmm::xsload {

using Clock = std::chrono::steady_clock;

struct Client {
  Client(const Plan& plan, const Tree& tree, std::uint32_t client_number)
      : number(client_number),
        connection(plan.server),
        operation(make_operation(plan.operation, tree, client_number)) {}

  std::uint32_t number;
  Connection connection;
  std::unique_ptr<Operation> operation;
  std::uint64_t done{};
  Clock::time_point began;
};

/// Decides for each client whether it starts another operation, and keeps the samples.
class Pass {
 public:
  Pass(std::uint64_t count, std::chrono::milliseconds duration, std::vector<Sample>* samples)
      : count_(count), samples_(samples), start_(Clock::now()) {
    if (duration.count() != 0) deadline_ = start_ + duration;
  }
  void begin(Client& client) {
    client.began = Clock::now();
    client.operation->begin(client.connection);
  }
  /// The client's operation is complete. False: it shall not begin another.
  bool complete(Client& client) {
    end_ = Clock::now();
    ++client.done;
    if (samples_ != nullptr) {
      const std::chrono::nanoseconds time = end_ - client.began;
      samples_->push_back({client.number, static_cast<std::uint64_t>(time.count())});
    }
    return (count_ == 0 || client.done < count_) && end_ < deadline_;
  }
  [[nodiscard]] std::chrono::nanoseconds elapsed() const { return end_ - start_; }

 private:
  std::uint64_t count_;
  std::vector<Sample>* samples_;
  Clock::time_point start_;
  Clock::time_point end_{start_};
  Clock::time_point deadline_{Clock::time_point::max()};
};

using Clients = std::vector<std::unique_ptr<Client>>;

/// One client: plain blocking calls, so that nothing but the exchange itself is measured.
void run_alone(Client& client, Pass& pass);

/// Many clients: one thread, so that the load takes no more CPUs than it must. For sockets and
/// devices.
void run_on_epoll(Clients& clients, Pass& pass);

/// As run_on_epoll, for sockets, with all clients' reads and writes of a turn in one system call:
/// else the client's own calls, not the server, would limit what is measured. False, with nothing
/// done, when this kernel or its sandbox has no io_uring.
[[nodiscard]] bool run_on_uring(Clients& clients, Pass& pass);

}  // namespace ppvmm::xsload

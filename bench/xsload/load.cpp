#include "load.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "operation.hpp"

namespace ppvmm::xsload {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

nanoseconds cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

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
      const nanoseconds time = end_ - client.began;
      samples_->push_back({client.number, static_cast<std::uint64_t>(time.count())});
    }
    return (count_ == 0 || client.done < count_) && end_ < deadline_;
  }
  [[nodiscard]] nanoseconds elapsed() const { return end_ - start_; }

 private:
  std::uint64_t count_;
  std::vector<Sample>* samples_;
  Clock::time_point start_;
  Clock::time_point end_{start_};
  Clock::time_point deadline_{Clock::time_point::max()};
};

/// One client: plain blocking calls, so that nothing but the exchange itself is measured.
void run_alone(Client& client, Pass& pass) {
  do {
    pass.begin(client);
    while (!client.operation->on_message(client.connection, client.connection.receive())) {
    }
  } while (pass.complete(client));
}

/// Many clients: one thread and epoll, so that the load takes no more CPUs than it must.
void run_together(std::vector<std::unique_ptr<Client>>& clients, Pass& pass) {
  struct Descriptor {
    int value{::epoll_create1(EPOLL_CLOEXEC)};
    ~Descriptor() { ::close(value); }
  } poller;
  for (const auto& client : clients) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = client.get();
    if (::epoll_ctl(poller.value, EPOLL_CTL_ADD, client->connection.descriptor(), &event) != 0) {
      throw Failure("epoll does not take this connection");
    }
    pass.begin(*client);
  }
  auto running = clients.size();
  std::array<epoll_event, 64> events{};
  while (running != 0) {
    const int count =
        ::epoll_wait(poller.value, events.data(), static_cast<int>(events.size()), -1);
    if (count < 0 && errno != EINTR) throw Failure("epoll_wait failed");
    for (int i = 0; i < count; ++i) {
      auto& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
      auto message = client.connection.poll(true);
      while (message) {
        if (client.operation->on_message(client.connection, *message)) {
          if (pass.complete(client)) {
            pass.begin(client);
          } else {
            --running;
          }
        }
        message = client.connection.poll(false);
      }
    }
  }
}

void run(std::vector<std::unique_ptr<Client>>& clients, Pass& pass) {
  for (auto& client : clients)
    client->done = 0;
  if (clients.size() == 1) {
    run_alone(*clients.front(), pass);
  } else {
    run_together(clients, pass);
  }
}

}  // namespace

Measurement measure(const Plan& plan, const Tree& tree) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    clients.push_back(std::make_unique<Client>(plan, tree, i));
    clients.back()->operation->prepare(clients.back()->connection);
  }
  const auto set_blocking = [&clients](bool blocking) {
    for (auto& client : clients)
      client->connection.set_blocking(blocking);
  };
  if (clients.size() > 1) set_blocking(false);

  if (plan.warmup != 0) {
    Pass warmup(plan.warmup, std::chrono::milliseconds(0), nullptr);
    run(clients, warmup);
  }
  Measurement measurement;
  measurement.samples.reserve(plan.count != 0 ? plan.count * plan.clients : 1U << 20U);
  const auto retries = [&clients] {
    std::uint64_t sum = 0;
    for (const auto& client : clients)
      sum += client->operation->retries();
    return sum;
  };
  const auto retries_before = retries();
  const auto cpu_before = cpu_time();
  Pass pass(plan.count, plan.duration, &measurement.samples);
  run(clients, pass);
  measurement.elapsed = pass.elapsed();
  measurement.client_cpu = cpu_time() - cpu_before;
  measurement.retries = retries() - retries_before;

  set_blocking(true);
  for (auto& client : clients)
    client->operation->verify(client->connection);
  return measurement;
}

nanoseconds populate(Connection& connection, const Tree& tree, std::uint32_t window) {
  const auto start = Clock::now();
  std::uint32_t sent = 0;
  std::uint32_t first = 0;
  for (std::uint32_t answered = 0; answered < tree.nodes(); ++answered) {
    for (; sent < tree.nodes() && sent - answered < window; ++sent) {
      const auto request =
          connection.send(XS_WRITE, 0, {terminated(tree.leaf(sent)), tree.leaf_value(sent)});
      if (sent == 0) first = request;
    }
    expect_answer(connection.receive(), XS_WRITE, first + answered);
  }
  return Clock::now() - start;
}

void remove(Connection& connection, const Tree& tree) {
  std::string error;
  (void)connection.try_call(XS_RM, 0, {terminated(tree.base())}, error);
  if (!error.empty() && error != "ENOENT") throw Failure("removing the tree: " + error);
}

}  // namespace ppvmm::xsload

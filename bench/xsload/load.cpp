#include "load.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <memory>

#include "loops.hpp"

namespace ppvmm::xsload {
namespace {

using std::chrono::nanoseconds;

nanoseconds cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void run(Clients& clients, Pass& pass) {
  for (auto& client : clients)
    client->done = 0;
  if (clients.size() == 1) {
    run_alone(*clients.front(), pass);
  } else if (!clients.front()->connection.is_socket() || !run_on_uring(clients, pass)) {
    run_on_epoll(clients, pass);
  }
}

}  // namespace

Measurement measure(const Plan& plan, const Tree& tree) {
  Clients clients;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    clients.push_back(std::make_unique<Client>(plan, tree, i));
    clients.back()->operation->prepare(clients.back()->connection);
  }
  if (plan.warmup != 0) {
    Pass warmup(plan.warmup, std::chrono::milliseconds(0), nullptr);
    run(clients, warmup);
  }
  Measurement measurement;
  measurement.samples.reserve(plan.count != 0 ? plan.count * plan.clients : 1U << 16U);
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

  for (auto& client : clients)
    client->operation->verify(client->connection);
  return measurement;
}

nanoseconds populate(const std::string& server, const Tree& tree, std::uint32_t window) {
  const auto start = Clock::now();
  struct Writer {
    Connection connection;
    std::uint32_t request{};
  };
  std::vector<Writer> writers;
  for (std::uint32_t i = 0; i < std::min(window, tree.nodes()); ++i) {
    writers.push_back({Connection(server)});
  }
  const auto await = [](Writer& writer) {
    expect_answer(writer.connection.receive(), XS_WRITE, writer.request);
  };
  for (std::uint32_t i = 0; i < tree.nodes(); ++i) {
    auto& writer = writers[i % writers.size()];
    if (i >= writers.size()) await(writer);
    writer.request =
        writer.connection.send(XS_WRITE, 0, {terminated(tree.leaf(i)), tree.leaf_value(i)});
  }
  for (auto& writer : writers)
    await(writer);
  return Clock::now() - start;
}

void remove(Connection& connection, const Tree& tree) {
  std::string error;
  (void)connection.try_call(XS_RM, 0, {terminated(tree.base())}, error);
  if (!error.empty() && error != "ENOENT") throw Failure("removing the tree: " + error);
}

}  // namespace ppvmm::xsload

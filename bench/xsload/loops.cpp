#include "loops.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace ppvmm::xsload {

/// One client: plain blocking calls, so that nothing but the exchange itself is measured.
void run_alone(Client& client, Pass& pass) {
  do {
    pass.begin(client);
    while (!client.operation->on_message(client.connection, client.connection.receive())) {
    }
  } while (pass.complete(client));
}

/// Many clients: one thread and epoll, so that the load takes no more CPUs than it must.
void run_on_epoll(Clients& clients, Pass& pass) {
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
    client->connection.set_blocking(false);
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
  for (auto& client : clients)
    client->connection.set_blocking(true);
}

}  // namespace ppvmm::xsload

#include <liburing.h>
#include <sys/socket.h>

#include <cstring>

#include "loops.hpp"

namespace ppvmm::xsload {
namespace {

class Ring {
 public:
  explicit Ring(unsigned entries) {
    // One thread that waits in io_uring_enter: the kernel need not interrupt it (Linux 6.1).
    usable_ = ::io_uring_queue_init(entries, &ring_,
                                    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0 ||
              ::io_uring_queue_init(entries, &ring_, 0) == 0;
  }
  ~Ring() {
    if (usable_) ::io_uring_queue_exit(&ring_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  [[nodiscard]] bool usable() const { return usable_; }

  void receive(Client& client) {
    const auto space = client.connection.space();
    auto* entry = next();
    ::io_uring_prep_recv(entry, client.connection.descriptor(), space.data(), space.size(), 0);
    ::io_uring_sqe_set_data(entry, &client);
  }
  /// Only a failure is reported: the answer is what tells that the request went out.
  void send(Client& client) {
    const auto bytes = client.connection.take_collected();
    if (bytes.empty()) return;
    auto* entry = next();
    ::io_uring_prep_send(entry, client.connection.descriptor(), bytes.data(), bytes.size(),
                         MSG_WAITALL);
    ::io_uring_sqe_set_data(entry, nullptr);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }
  void submit_and_wait() {
    const int result = ::io_uring_submit_and_wait(&ring_, 1);
    if (result < 0 && result != -EINTR) throw Failure("io_uring does not take the requests");
  }
  /// Calls `arrived(client, bytes)` for each answer that is here.
  template <typename Arrived>
  void take(Arrived arrived) {
    io_uring_cqe* entry = nullptr;
    while (::io_uring_peek_cqe(&ring_, &entry) == 0) {
      auto* client = static_cast<Client*>(::io_uring_cqe_get_data(entry));
      const int result = entry->res;
      ::io_uring_cqe_seen(&ring_, entry);
      if (result < 0) throw Failure(std::string("the connection broke: ") + ::strerror(-result));
      if (client == nullptr) continue;
      if (result == 0) throw Failure("the server closed the connection");
      arrived(*client, static_cast<std::size_t>(result));
    }
  }

 private:
  io_uring_sqe* next() {
    auto* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) throw Failure("more requests than the io_uring was made for");
    return entry;
  }

  io_uring ring_{};
  bool usable_{};
};

}  // namespace

bool run_on_uring(Clients& clients, Pass& pass) {
  // A turn has at most one receive and one send for each client.
  Ring ring(static_cast<unsigned>(2 * clients.size()));
  if (!ring.usable()) return false;
  for (auto& client : clients) {
    client->connection.collect(true);
    pass.begin(*client);
    ring.receive(*client);
    ring.send(*client);
  }
  auto running = clients.size();
  while (running != 0) {
    ring.submit_and_wait();
    ring.take([&](Client& client, std::size_t bytes) {
      client.connection.arrived(bytes);
      bool more = true;
      while (const auto message = client.connection.poll(false)) {
        if (!client.operation->on_message(client.connection, *message)) continue;
        more = pass.complete(client);
        if (!more) break;
        pass.begin(client);
      }
      if (more) {
        ring.receive(client);
        ring.send(client);
      } else {
        --running;
      }
    });
  }
  for (auto& client : clients)
    client->connection.collect(false);
  return true;
}

}  // namespace ppvmm::xsload

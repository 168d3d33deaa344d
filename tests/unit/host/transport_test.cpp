// Both transports do the same: the server is written once for them.
#include "host/transport.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace ppvmm::host {
namespace {

/// Sends back what comes, as the server does: what the transport does not take waits.
class Echo final : public TransportEvents {
 public:
  explicit Echo(Transport& transport) : transport_{transport} {}

  void woke() override { ++wakes; }
  void received(Link& link, std::span<const std::byte> bytes) override {
    received_bytes += bytes.size();
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    push(link);
  }
  void writable(Link& link) override {
    ++writables;
    push(link);
  }
  void gone(Link& link) override {
    ++gones;
    transport_.close(link);
  }
  void readable(int fd) override { readables.push_back(fd); }

  int wakes{};
  int writables{};
  int gones{};
  std::size_t received_bytes{};
  std::vector<int> readables;
  bool steady{true};  ///< Pauses the link while something waits, as the server does.

 private:
  void push(Link& link) {
    while (!waiting_.empty()) {
      const std::size_t count = transport_.send(link, waiting_);
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
      if (count == 0) break;
    }
    if (steady) transport_.pause(link, !waiting_.empty());
  }

  Transport& transport_;
  std::vector<std::byte> waiting_;
};

struct Pair {
  Pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    mine.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  Fd mine;
  Fd theirs;
};

class EachTransport : public ::testing::TestWithParam<Io> {
 protected:
  void SetUp() override {
    try {
      transport_ = make_transport(GetParam());
    } catch (const std::system_error& error) {
      GTEST_SKIP() << "not on this machine: " << error.what();
    }
  }
  /// Turns until `done`, or until a second has passed without an event.
  static void run(Transport& transport, Echo& echo, const std::function<bool()>& done) {
    for (int idle = 0; !done() && idle < 1000;) {
      const auto before = echo.received_bytes + static_cast<std::size_t>(echo.writables);
      transport.wait(1, echo);
      idle =
          echo.received_bytes + static_cast<std::size_t>(echo.writables) == before ? idle + 1 : 0;
    }
    EXPECT_TRUE(done());
  }
  std::unique_ptr<Transport> transport_;
};

TEST_P(EachTransport, EchoesMoreThanTheSocketHolds) {
  Echo echo{*transport_};
  Pair pair;
  transport_->add(std::move(pair.theirs));
  constexpr std::size_t kBytes = 3'000'000;
  bool read_all = false;
  std::thread writer{[&] {
    const std::string block(10'000, 'w');
    for (std::size_t sent = 0; sent < kBytes;) {
      const auto count = ::send(pair.mine.get(), block.data(),
                                std::min(block.size(), kBytes - sent), MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  }};
  std::size_t got = 0;
  std::size_t before = 0;
  int quiet = 0;
  bool full = false;
  run(*transport_, echo, [&] {
    // Reading begins when both ways are full: the transport must then have made the echo wait.
    quiet = echo.received_bytes == before ? quiet + 1 : 0;
    before = echo.received_bytes;
    full = full || quiet == 20;
    if (!full) return false;
    char buffer[8192];
    const auto count = ::recv(pair.mine.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) got += static_cast<std::size_t>(count);
    read_all = got == kBytes;
    return read_all;
  });
  if (!read_all) ::shutdown(pair.mine.get(), SHUT_RDWR);
  writer.join();
  EXPECT_EQ(kBytes, got);
  EXPECT_GT(echo.writables, 0);
}

TEST_P(EachTransport, TellsThatAClientLeft) {
  Echo echo{*transport_};
  std::vector<Fd> clients;
  for (int i = 0; i < 300; ++i) {  // more than one turn of any transport takes
    Pair pair;
    transport_->add(std::move(pair.theirs));
    clients.push_back(std::move(pair.mine));
  }
  clients.clear();
  run(*transport_, echo, [&] { return echo.gones == 300; });
}

TEST_P(EachTransport, ClosingEndsTheClientsSocket) {
  Echo echo{*transport_};
  Pair pair;
  Link& link = transport_->add(std::move(pair.theirs));
  transport_->wait(0, echo);
  transport_->close(link);
  transport_->wait(10, echo);
  transport_->wait(10, echo);
  char byte = 0;
  EXPECT_EQ(0, ::recv(pair.mine.get(), &byte, 1, MSG_DONTWAIT));
  EXPECT_EQ(0, echo.gones);
}

TEST_P(EachTransport, ReadsNothingWhilePaused) {
  Echo echo{*transport_};
  Pair pair;
  Link& link = transport_->add(std::move(pair.theirs));
  ASSERT_EQ(1, ::send(pair.mine.get(), "a", 1, 0));
  run(*transport_, echo, [&] { return echo.received_bytes == 1; });
  echo.steady = false;
  transport_->pause(link, true);
  // A read that is under way when the pause comes may still bring bytes; after it, none do.
  ASSERT_EQ(1, ::send(pair.mine.get(), "b", 1, 0));
  transport_->wait(20, echo);
  const auto before = echo.received_bytes;
  transport_->pause(link, true);
  ASSERT_EQ(1, ::send(pair.mine.get(), "c", 1, 0));
  transport_->wait(20, echo);
  EXPECT_EQ(before, echo.received_bytes);
  transport_->pause(link, false);
  run(*transport_, echo, [&] { return echo.received_bytes == 3; });
}

TEST_P(EachTransport, SaysAgainAndAgainThatAWatchedDescriptorIsReadable) {
  Echo echo{*transport_};
  Pair pair;
  transport_->watch(pair.theirs.get());
  transport_->wait(0, echo);
  EXPECT_TRUE(echo.readables.empty());
  ASSERT_EQ(1, ::send(pair.mine.get(), "a", 1, 0));
  for (int i = 0; i < 3; ++i)
    transport_->wait(100, echo);
  EXPECT_EQ((std::vector<int>(3, pair.theirs.get())), echo.readables);
}

INSTANTIATE_TEST_SUITE_P(Transports, EachTransport, ::testing::Values(Io::epoll, Io::io_uring),
                         [](const auto& instance) {
                           return instance.param == Io::epoll ? "epoll" : "io_uring";
                         });

}  // namespace
}  // namespace ppvmm::host

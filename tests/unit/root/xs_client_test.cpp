#include "root/xs_client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace ppvmm::root {
namespace {

using namespace std::string_literals;
using store::MessageHeader;
using store::MessageType;

struct Message {
  MessageHeader header;
  std::string payload;
};

Message answer(MessageType type, std::string payload = "OK\0"s) {
  return {.header = {.type = type, .request_id = 0, .transaction_id = 0, .length = 0},
          .payload = std::move(payload)};
}

Message error(std::string name) {
  name += '\0';
  return answer(MessageType::error, std::move(name));
}

/// Answers only when as many requests as it has answers for lie there: who waits for an answer in
/// between waits for ever. Answers come in pieces of five bytes.
class Server {
 public:
  explicit Server(std::vector<std::vector<Message>> rounds) : rounds_(std::move(rounds)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    client_ = ends[0];
    own_ = ends[1];
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() { wait(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The client closes it.
  [[nodiscard]] int end() const { return client_; }
  /// What has been asked; the client is gone, or has got all its answers.
  [[nodiscard]] const std::vector<Message>& asked() {
    wait();
    return asked_;
  }

 private:
  void wait() {
    if (thread_.joinable()) thread_.join();
  }

  bool take(void* to, std::size_t size) const {
    return size == 0 || recv(own_, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }

  void serve() {
    for (auto& round : rounds_) {
      std::string out;
      for (Message& reply : round) {
        Message request;
        if (!take(&request.header, sizeof request.header)) return;
        request.payload.resize(request.header.length);
        if (!take(request.payload.data(), request.payload.size())) return;
        reply.header.request_id = request.header.request_id + skew;
        reply.header.transaction_id = request.header.transaction_id;
        reply.header.length = static_cast<std::uint32_t>(reply.payload.size());
        out.append(reinterpret_cast<const char*>(&reply.header), sizeof reply.header);
        out += reply.payload;
        asked_.push_back(std::move(request));
      }
      constexpr std::size_t kPiece = 5;
      for (std::size_t at = 0; at < out.size(); at += kPiece)
        (void)!write(own_, out.data() + at, std::min(kPiece, out.size() - at));
    }
    close(own_);
  }

 public:
  std::uint32_t skew{};

 private:
  std::vector<std::vector<Message>> rounds_;
  std::vector<Message> asked_;
  int client_{-1};
  int own_{-1};
  std::thread thread_;
};

TEST(XsClientTest, WhatDoesNotDependOnAnswersIsSentTogether) {
  Server server(
      {{answer(MessageType::rm), answer(MessageType::mkdir), answer(MessageType::set_perms),
        answer(MessageType::write), answer(MessageType::introduce)}});
  const XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.replace("/a", {.owner = 3, .reader = 7, .writes = true}, {{"b", "value"}});
  changes.introduce(7, 0x1234, 9);
  ASSERT_TRUE(client.change(changes));
  const auto& asked = server.asked();
  ASSERT_EQ(asked.size(), 5u);
  EXPECT_EQ(asked[0].payload, "/a\0"s);
  EXPECT_EQ(asked[1].payload, "/a\0"s);
  EXPECT_EQ(asked[2].payload, "/a\0n3\0b7\0"s);
  EXPECT_EQ(asked[3].payload, "/a/b\0value"s);
  EXPECT_EQ(asked[4].payload,
            "7\0"
            "4660\0"
            "9\0"s);
  EXPECT_EQ(asked[4].header.transaction_id, 0u);
}

TEST(XsClientTest, ValuesAndListsComeInTheOrderOfTheirPaths) {
  Server server({{answer(MessageType::read, "one"), error("ENOENT"), answer(MessageType::read, "")},
                 {answer(MessageType::directory, "x\0yy\0"s), error("ENOENT")}});
  const XsClient client = XsClient::over(server.end());
  const auto values = client.read_all(std::array{"/1"s, "/2"s, "/3"s});
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0], "one");
  EXPECT_FALSE(values[1]);
  EXPECT_EQ(values[2], "");
  const auto lists = client.list_all(std::array{"/4"s, "/5"s});
  ASSERT_EQ(lists.size(), 2u);
  EXPECT_EQ(lists[0], (std::vector{"x"s, "yy"s}));
  EXPECT_TRUE(lists[1].empty());
}

TEST(XsClientTest, TheFirstFailureCountsAndANodeThatIsNotThereIsRemoved) {
  Server server({{error("ENOENT"), error("EACCES"), error("ENOSPC")}});
  const XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.remove("/gone");
  changes.write("/closed", "1");
  changes.write("/full", "1");
  const auto done = client.change(changes);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error, EACCES);
  EXPECT_NE(done.error().what.find("/closed"), std::string::npos);
}

TEST(XsClientTest, ATransactionIsDoneAgainWhenOthersInterfered) {
  Server server({{answer(MessageType::transaction_start, "5\0"s)},
                 {answer(MessageType::write)},
                 {error("EAGAIN")},
                 {answer(MessageType::transaction_start, "6\0"s)},
                 {answer(MessageType::write)},
                 {answer(MessageType::transaction_end)}});
  XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.write("/a", "1");
  EXPECT_TRUE(client.in_transaction([&] { return client.change(changes); }));
  const auto& asked = server.asked();
  ASSERT_EQ(asked.size(), 6u);
  EXPECT_EQ(asked[1].header.transaction_id, 5u);
  EXPECT_EQ(asked[2].header.transaction_id, 5u);
  EXPECT_EQ(asked[2].payload, "T\0"s);
  EXPECT_EQ(asked[4].header.transaction_id, 6u);
}

TEST(XsClientTest, ATransactionWhoseStepsFailIsGivenUp) {
  Server server({{answer(MessageType::transaction_start, "5\0"s)},
                 {error("EACCES")},
                 {answer(MessageType::transaction_end)}});
  XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.write("/a", "1");
  const auto done = client.in_transaction([&] { return client.change(changes); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error, EACCES);
  EXPECT_EQ(server.asked().back().payload, "F\0"s);
}

TEST(XsClientTest, AStoreThatGoesIsAFailureOfAllThatItOwes) {
  Server server({{answer(MessageType::write)}});
  const XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.write("/a", "1");
  EXPECT_TRUE(client.change(changes));
  (void)server.asked();  // it has closed its end
  EXPECT_FALSE(client.change(changes));
  EXPECT_FALSE(client.read("/a"));
}

TEST(XsClientTest, AnAnswerToSomethingElseIsRefused) {
  Server server({{answer(MessageType::write)}});
  server.skew = 1;
  const XsClient client = XsClient::over(server.end());
  XsChanges changes;
  changes.write("/a", "1");
  EXPECT_FALSE(client.change(changes));
}

}  // namespace
}  // namespace ppvmm::root

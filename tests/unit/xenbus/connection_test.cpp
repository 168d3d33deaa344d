#include "xenbus/connection.hpp"

#include <gtest/gtest.h>

#include <map>

#include "server.hpp"

namespace ppvmm::xenbus {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

class Client final : public Connection::Client {
 public:
  void answered(std::uint32_t id, std::expected<std::string_view, Error> answer) override {
    if (answer) {
      answers[id] = std::string(*answer);
    } else {
      errors[id] = answer.error();
    }
  }
  void fired(std::string_view path, std::string_view token) override {
    events.emplace_back(path, token);
  }
  std::map<std::uint32_t, std::string> answers;
  std::map<std::uint32_t, Error> errors;
  std::vector<std::pair<std::string, std::string>> events;
};

class ConnectionTest : public ::testing::Test {
 protected:
  std::uint32_t request(Connection& connection, std::string_view text) {
    const std::string_view parts[] = {text, "\0"sv};
    const auto id = connection.request(store::MessageType::read, 0, parts);
    EXPECT_TRUE(id);
    return id.value_or(0);
  }
  store::RingPage page_{};
  StreamRecord record_{};
  TestServer server_{page_};
  Client client_;
};

TEST_F(ConnectionTest, AnswersFindTheirRequests) {
  Connection connection(page_, record_, client_, false);
  const std::uint32_t one = request(connection, "/one");
  const std::uint32_t two = request(connection, "/two");
  EXPECT_TRUE(connection.pump());
  server_.take(1024);
  ASSERT_EQ(server_.requests.size(), 2u);
  EXPECT_EQ(server_.requests[0].payload, "/one\0"s);
  server_.answer(store::MessageType::error, two, "ENOENT\0"s);
  server_.answer(store::MessageType::watch_event, 0, "/a/b\0w1\0"s);
  server_.answer(store::MessageType::watch_event, 0, "no token");
  server_.answer(store::MessageType::read, one, "1");
  server_.give(1024);
  EXPECT_TRUE(connection.pump());
  EXPECT_EQ(client_.answers[one], "1");
  EXPECT_EQ(client_.errors.at(two), Error::no_entry);
  ASSERT_EQ(client_.events.size(), 1u);
  EXPECT_EQ(client_.events[0], std::pair("/a/b"s, "w1"s));
  EXPECT_EQ(connection.unexpected_messages(), 1u);
  EXPECT_FALSE(connection.pump());
}

TEST_F(ConnectionTest, ANewLifeEndsTheWatchesOfTheOldAndDoesNotTakeItsAnswers) {
  std::uint32_t old = 0;
  {
    Connection connection(page_, record_, client_, false);
    old = request(connection, "/old");
    (void)connection.pump();
  }
  Connection connection(page_, record_, client_, true);
  const std::uint32_t fresh = request(connection, "/new");
  EXPECT_NE(old, fresh);
  (void)connection.pump();
  server_.take(1024);
  ASSERT_EQ(server_.requests.size(), 3u);
  EXPECT_EQ(server_.requests[1].header.type, store::MessageType::reset_watches);
  EXPECT_EQ(server_.requests[1].header.transaction_id, 0u);
  EXPECT_EQ(server_.requests[2].header.request_id, fresh);
}

TEST(XenbusError, TextsAreKnown) {
  EXPECT_EQ(error_of("ENOENT"), Error::no_entry);
  EXPECT_EQ(error_of("EAGAIN"), Error::again);
  EXPECT_EQ(error_of("EROFS"), Error::refused);
  EXPECT_EQ(error_of(""), Error::refused);
}

}  // namespace
}  // namespace ppvmm::xenbus

#include "xenbus/link.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "server.hpp"

namespace ppvmm::xenbus {
namespace {

class Inbox final : public Link::Receiver {
 public:
  void message(const store::MessageHeader& header, std::string_view payload) override {
    messages.push_back({header, std::string(payload)});
  }
  std::vector<TestMessage> messages;
};

class LinkTest : public ::testing::Test {
 protected:
  void live(bool reborn) { link_ = std::make_unique<Link>(page_, record_, reborn); }
  bool send(std::uint32_t id, const std::string& payload) {
    const std::string_view parts[] = {payload};
    return link_->send(store::MessageType::write, id, 0, parts);
  }

  store::RingPage page_{};
  StreamRecord record_{};
  TestServer server_{page_};
  Inbox inbox_;
  std::unique_ptr<Link> link_;
};

TEST_F(LinkTest, MessagesLargerThanTheRingGoThroughInPieces) {
  live(false);
  const std::string large(4096, 'x');
  ASSERT_TRUE(send(1, large));
  ASSERT_TRUE(send(2, "small"));
  EXPECT_FALSE(send(3, std::string(4097, 'x')));
  for (int i = 0; i < 20; ++i) {
    (void)link_->pump(inbox_);
    server_.take(300);
  }
  ASSERT_EQ(server_.requests.size(), 2u);
  EXPECT_EQ(server_.requests[0].payload, large);
  EXPECT_EQ(server_.requests[1].payload, "small");
  EXPECT_EQ(link_->queued(), 0u);

  server_.answer(store::MessageType::read, 7, large);
  server_.answer(store::MessageType::read, 8, "");
  for (int i = 0; i < 40; ++i) {
    server_.give(111);
    (void)link_->pump(inbox_);
  }
  ASSERT_EQ(inbox_.messages.size(), 2u);
  EXPECT_EQ(inbox_.messages[0].payload, large);
  EXPECT_EQ(inbox_.messages[1].header.request_id, 8u);
}

TEST_F(LinkTest, AnAnswerThatCannotBeBreaksTheLink) {
  live(false);
  const store::MessageHeader header{store::MessageType::read, 1, 0, 4097};
  std::memcpy(page_.rsp, &header, sizeof header);
  page_.rsp_prod = sizeof header;
  EXPECT_FALSE(link_->pump(inbox_));
  EXPECT_TRUE(link_->broken());
}

TEST_F(LinkTest, IndexesThatCannotBeBreakTheLink) {
  live(false);
  page_.rsp_prod = 1025;
  (void)link_->pump(inbox_);
  EXPECT_TRUE(link_->broken());
}

/// Dies again and again, in the middle of messages of both directions: the server sees every
/// message whole, the client sees answers whole, and after the last death everything goes on.
TEST_F(LinkTest, EachLifeFindsTheMessageBoundary) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    page_ = {};
    page_.req_prod = page_.req_cons = 0xFFFFFF00u + seed;
    page_.rsp_prod = page_.rsp_cons = 0xFFFFFE00u + 3 * seed;
    record_ = {};
    server_ = TestServer(page_);
    live(false);
    std::uint32_t id = 0;
    for (int step = 0; step < 400; ++step) {
      switch (random() % 6) {
        case 0:
          ++id;
          ASSERT_TRUE(send(id, std::string(random() % 4097, static_cast<char>('a' + id % 26))));
          break;
        case 1:
          server_.take(random() % 700);
          break;
        case 2:
          server_.give(random() % 700);
          break;
        case 3:
          if (random() % 4 == 0) live(true);
          break;
        default:
          (void)link_->pump(inbox_);
      }
      while (!server_.requests.empty()) {
        const TestMessage request = server_.requests.front();
        server_.requests.pop_front();
        const char letter = static_cast<char>('a' + request.header.request_id % 26);
        ASSERT_EQ(request.payload, std::string(request.header.length, letter)) << seed;
        server_.answer(store::MessageType::read, request.header.request_id, request.payload);
      }
      ASSERT_FALSE(link_->broken()) << seed;
    }
    live(true);
    inbox_.messages.clear();
    ASSERT_TRUE(send(9999, "the end"));
    for (int i = 0; i < 1000; ++i) {
      (void)link_->pump(inbox_);
      server_.take(1024);
      server_.give(1024);
      while (!server_.requests.empty()) {
        server_.answer(store::MessageType::read, server_.requests.front().header.request_id,
                       server_.requests.front().payload);
        server_.requests.pop_front();
      }
    }
    ASSERT_FALSE(inbox_.messages.empty()) << seed;
    for (const TestMessage& answer : inbox_.messages) {
      if (answer.header.request_id == 9999) continue;
      const char letter = static_cast<char>('a' + answer.header.request_id % 26);
      ASSERT_EQ(answer.payload, std::string(answer.header.length, letter)) << seed;
    }
    ASSERT_EQ(inbox_.messages.back().header.request_id, 9999u) << seed;
    ASSERT_EQ(inbox_.messages.back().payload, "the end") << seed;
  }
}

/// The states between the stores of begin_request() and pull(), in their order.
TEST_F(LinkTest, DyingBetweenTwoStoresOfTheRecordIsHarmless) {
  struct Case {
    std::uint32_t begin;
    std::uint32_t end;
    std::uint32_t produced;
    std::size_t rest;
  };
  for (const Case& at : {Case{100, 120, 120, 0},   // the message before is complete
                         Case{120, 120, 120, 0},   // emptied, or begun
                         Case{120, 160, 120, 0},   // noted, nothing published: dropped
                         Case{120, 160, 130, 30},  // in the middle
                         Case{120, 160, 160, 0}}) {
    page_ = {};
    record_ = {};
    record_.request_begin = at.begin;
    record_.request_end = at.end;
    page_.req_prod = page_.req_cons = at.produced;
    live(true);
    (void)link_->pump(inbox_);
    EXPECT_EQ(page_.req_prod - at.produced, at.rest);
  }
}

}  // namespace
}  // namespace ppvmm::xenbus

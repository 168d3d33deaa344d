#include "store/ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace ppvmm::store {
namespace {

using Bytes = std::vector<std::byte>;

Bytes pattern(std::size_t size, unsigned seed = 1) {
  std::mt19937 random{seed};
  Bytes bytes(size);
  for (auto& byte : bytes)
    byte = static_cast<std::byte>(random());
  return bytes;
}

void start_at(RingPage& page, std::uint32_t index) {
  page.req_cons = page.req_prod = index;
  page.rsp_cons = page.rsp_prod = index;
}

TEST(Ring, GivesBytesBackInOrder) {
  RingPage page{};
  ClientRing client{page};
  ServerRing server{page};
  const Bytes sent = pattern(100);
  EXPECT_EQ(client.requests.write(sent), 100U);
  Bytes got(kRingBytes);
  ASSERT_EQ(server.requests.peek(got), 100U);
  got.resize(100);
  EXPECT_EQ(got, sent);
}

TEST(Ring, BytesStayUntilConsumedAndSurviveTheServer) {
  RingPage page{};
  ClientRing client{page};
  const Bytes sent = pattern(40);
  ASSERT_EQ(client.requests.write(sent), 40U);
  Bytes got(kRingBytes);
  {
    ServerRing first_life{page};
    ASSERT_EQ(first_life.requests.peek(got), 40U);
    first_life.requests.consume(15);
    ASSERT_EQ(first_life.requests.peek(got), 25U);
  }
  ServerRing second_life{page};
  ASSERT_EQ(second_life.requests.peek(got), 25U);
  EXPECT_TRUE(std::equal(sent.begin() + 15, sent.end(), got.begin()));
}

TEST(Ring, IndexesWrapAtTheEndOfTheQueueAndOf32Bits) {
  for (const std::uint32_t start : {1000U, 0xffff'fff0U, 0xffff'ffffU, 1023U, 1024U}) {
    RingPage page{};
    start_at(page, start);
    ClientRing client{page};
    ServerRing server{page};
    const Bytes sent = pattern(kRingBytes, start);
    ASSERT_EQ(server.responses.write(sent), kRingBytes) << start;
    EXPECT_EQ(server.responses.write(sent), 0U) << "a full queue takes nothing";
    Bytes got(kRingBytes);
    ASSERT_EQ(client.responses.peek(got), kRingBytes) << start;
    EXPECT_EQ(got, sent) << start;
    client.responses.consume(kRingBytes);
    EXPECT_EQ(client.responses.peek(got), 0U);
  }
}

TEST(Ring, PeekTakesNoMoreThanFits) {
  RingPage page{};
  ClientRing client{page};
  ServerRing server{page};
  const Bytes sent = pattern(500);
  ASSERT_EQ(client.requests.write(sent), 500U);
  std::array<std::byte, 64> small{};
  EXPECT_EQ(server.requests.peek(small), 64U);
  EXPECT_EQ(server.requests.peek({}), 0U);
}

TEST(Ring, AMessageLargerThanTheQueuePassesInPieces) {
  RingPage page{};
  ClientRing client{page};
  ServerRing server{page};
  const Bytes sent = pattern(sizeof(xsd_sockmsg) + XENSTORE_PAYLOAD_MAX);
  std::span<const std::byte> rest{sent};
  Bytes got;
  std::array<std::byte, 300> piece{};
  while (got.size() < sent.size()) {
    const auto written = client.requests.write(rest);
    ASSERT_TRUE(written.has_value());
    rest = rest.subspan(*written);
    const auto count = server.requests.peek(piece);
    ASSERT_TRUE(count.has_value());
    ASSERT_GT(*count, 0U);
    got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*count));
    server.requests.consume(*count);
  }
  EXPECT_EQ(got, sent);
}

// XSA-38: indexes that claim more bytes than the queue holds.
TEST(Ring, RefusesHostileIndexesInBothDirections) {
  const std::array<std::array<std::uint32_t, 2>, 5> hostile{
      {{0, 1025}, {1, 0}, {0, 0x8000'0000}, {0xffff'ffff, 0xffff'fffe}, {5, 5 + 4096}}};
  Bytes buffer(8192);
  for (const auto& [consumer, producer] : hostile) {
    RingPage page{};
    page.req_cons = page.rsp_cons = consumer;
    page.req_prod = page.rsp_prod = producer;
    const RingPage before = page;
    ServerRing server{page};
    EXPECT_EQ(server.requests.peek(buffer), std::unexpected{RingError::bad_indexes});
    EXPECT_EQ(server.responses.write(buffer), std::unexpected{RingError::bad_indexes});
    ClientRing client{page};
    EXPECT_EQ(client.responses.peek(buffer), std::unexpected{RingError::bad_indexes});
    EXPECT_EQ(client.requests.write(buffer), std::unexpected{RingError::bad_indexes});
    EXPECT_EQ(std::memcmp(&page, &before, sizeof page), 0) << "a refused page is left as it was";
  }
}

TEST(Ring, WritesOnlyIntoItsOwnQueue) {
  for (std::uint32_t start = 0; start < 2 * kRingBytes; start += 97) {
    RingPage page{};
    std::memset(page.req, 0x55, sizeof page.req);
    start_at(page, start);
    ServerRing server{page};
    ASSERT_EQ(server.responses.write(pattern(5000)), kRingBytes);
    for (const char byte : page.req)
      ASSERT_EQ(byte, 0x55);
    EXPECT_EQ(page.req_cons, start);
    EXPECT_EQ(page.req_prod, start);
    EXPECT_EQ(page.server_features, 0U);
  }
}

// An index that the guest moves between peek() and consume() harms only that guest.
TEST(Ring, ConsumeGoesOnFromWhatWasChecked) {
  RingPage page{};
  ClientRing client{page};
  ServerRing server{page};
  ASSERT_EQ(client.requests.write(pattern(10)), 10U);
  Bytes buffer(kRingBytes);
  ASSERT_EQ(server.requests.peek(buffer), 10U);
  page.req_cons = 0xdead'beef;
  server.requests.consume(10);
  EXPECT_EQ(page.req_cons, 10U);
}

TEST(Ring, AdvertisesWithoutTakingBitsBack) {
  RingPage page{};
  page.server_features = 0x8000'0000;
  ServerRing server{page};
  server.advertise();
  EXPECT_EQ(page.server_features, 0x8000'0003U);
}

TEST(Ring, ReconnectionNeedsTheFeature) {
  RingPage page{};
  ClientRing client{page};
  EXPECT_FALSE(client.request_reconnect());
  EXPECT_TRUE(client.connected());
}

TEST(Ring, ResetLeavesAnEmptyConnectedRing) {
  RingPage page{};
  start_at(page, 77);
  ServerRing server{page};
  server.advertise();
  ClientRing client{page};
  ASSERT_EQ(client.requests.write(pattern(300)), 300U);
  ASSERT_EQ(server.responses.write(pattern(300)), 300U);
  server.report(XENSTORE_ERROR_PROTO);
  EXPECT_EQ(client.error(), static_cast<std::uint32_t>(XENSTORE_ERROR_PROTO));

  EXPECT_FALSE(server.reconnect_requested());
  ASSERT_TRUE(client.request_reconnect());
  EXPECT_TRUE(server.reconnect_requested());
  EXPECT_FALSE(client.connected());
  server.reset();
  EXPECT_FALSE(server.reconnect_requested());
  EXPECT_TRUE(client.connected());
  EXPECT_EQ(client.error(), static_cast<std::uint32_t>(XENSTORE_ERROR_NONE));
  Bytes buffer(kRingBytes);
  EXPECT_EQ(server.requests.peek(buffer), 0U);
  EXPECT_EQ(client.responses.peek(buffer), 0U);
  EXPECT_EQ(client.features(), ServerRing::kFeatures);
}

// Both ends at once, on two threads: every byte arrives, in order, though the stream is 256 times
// as long as the queue.
TEST(Ring, TwoThreadsPassALongStream) {
  RingPage page{};
  start_at(page, 0xffff'ff00);
  const Bytes sent = pattern(256 * kRingBytes);
  std::jthread guest{[&] {
    ClientRing client{page};
    std::span<const std::byte> rest{sent};
    std::size_t step = 1;
    while (!rest.empty()) {
      step = step % 700 + 13;
      const auto written = client.requests.write(rest.first(std::min(step, rest.size())));
      if (!written) return;
      if (*written == 0) std::this_thread::yield();
      rest = rest.subspan(*written);
    }
  }};
  ServerRing server{page};
  Bytes got;
  std::array<std::byte, 333> piece{};
  while (got.size() < sent.size()) {
    const auto count = server.requests.peek(piece);
    ASSERT_TRUE(count.has_value());
    if (*count == 0) std::this_thread::yield();
    got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*count));
    server.requests.consume(*count);
  }
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace ppvmm::store

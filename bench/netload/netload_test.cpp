#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "duplex.hpp"
#include "pattern.hpp"
#include "socket.hpp"

namespace ppvmm::netload {
namespace {

TEST(PatternTest, APlaceHasOneByteHoweverItIsAsked) {
  std::array<std::byte, 64> whole{};
  fill_pattern(7, 0, whole);
  for (std::size_t begin = 0; begin < 20; ++begin) {
    std::array<std::byte, 13> part{};
    fill_pattern(7, begin, part);
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + begin, part.size()), 0) << begin;
  }
  EXPECT_EQ(first_wrong(7, 0, whole), whole.size());
  EXPECT_LT(first_wrong(8, 0, whole), 8u);
  whole[41] ^= std::byte{4};
  EXPECT_EQ(first_wrong(7, 0, whole), 41u);
}

class Pair : public testing::Test {
 protected:
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()), 0); }
  ~Pair() override {
    close(ends_[0]);
    close(ends_[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  std::array<int, 2> ends_{};
};

TEST_F(Pair, BothEndsAgreeOnWhatCame) {
  Duplex left(ends_[0], 256, 1, 2, 0);
  Duplex right(ends_[1], 256, 2, 1, 0);
  for (int i = 0; i < 20; ++i) {
    left.work(now_ns());
    right.work(now_ns());
  }
  left.finish();
  for (int i = 0; i < 2000 && left.state() != Duplex::State::done; ++i) {
    left.work(now_ns());
    right.work(now_ns());
  }
  ASSERT_EQ(left.state(), Duplex::State::done);
  EXPECT_EQ(right.state(), Duplex::State::done);
  ASSERT_TRUE(left.theirs());
  EXPECT_GT(left.sent_bytes(), 1000u);
  EXPECT_EQ(left.theirs()->bytes, left.sent_bytes());
  EXPECT_EQ(left.theirs()->first_wrong, Receipt::kNone);
  EXPECT_EQ(left.receipt().first_wrong, Receipt::kNone);
  EXPECT_EQ(left.receipt().bytes, right.sent_bytes());
  EXPECT_EQ(left.wrong_ns(), 0u);
  EXPECT_EQ(left.broken_ns(), 0u);
}

TEST_F(Pair, AnEndKnowsHowFarItIsServed) {
  Duplex left(ends_[0], 256, 1, 2, 100'000);
  Duplex right(ends_[1], 256, 2, 1, 100'000);
  const std::uint64_t begin = now_ns();
  left.work(begin);
  EXPECT_EQ(left.served_ns(), 0u) << "nobody has answered yet";
  EXPECT_GT(left.due_ns(), begin);
  right.work(left.due_ns());
  left.work(left.due_ns());
  EXPECT_GE(left.served_ns(), begin);
  const std::uint64_t before = left.served_ns();
  const std::uint64_t later = left.due_ns() + 1'000'000'000;
  left.work(later);
  EXPECT_EQ(left.served_ns(), before) << "what was sent now has not been heard";
  right.work(later + 1);
  left.work(later + 2);
  EXPECT_GE(left.served_ns(), later);
}

TEST_F(Pair, OneWrongByteIsPlaced) {
  Duplex right(ends_[1], 256, 2, 1, 1);
  std::array<std::byte, 256> chunk{};
  const ChunkHeader header{.kind = ChunkHeader::kData, .heard = 0, .number = 0};
  std::memcpy(chunk.data(), &header, sizeof header);
  fill_pattern(1, 0, std::span(chunk).subspan(sizeof header));
  chunk[100] ^= std::byte{1};
  ASSERT_TRUE(write_all(ends_[0], chunk.data(), chunk.size()));
  right.work(now_ns());
  EXPECT_EQ(right.receipt().first_wrong, 100 - sizeof header);
  EXPECT_NE(right.state(), Duplex::State::broken) << "wrong bytes do not end a connection";
  EXPECT_NE(right.wrong_ns(), 0u);
  // The next chunk of the end that saw them says so to the other.
  Duplex left(ends_[0], 256, 1, 2, 1);
  right.finish();
  right.work(now_ns());
  left.work(now_ns());
  left.work(now_ns());
  EXPECT_NE(left.wrong_ns(), 0u);
}

TEST_F(Pair, AMissingPieceAndAVanishedPeerAreSeen) {
  Duplex right(ends_[1], 256, 2, 1, 1);
  std::array<std::byte, 256> chunk{};
  const ChunkHeader header{.kind = ChunkHeader::kData, .heard = 0, .number = 1};
  std::memcpy(chunk.data(), &header, sizeof header);
  ASSERT_TRUE(write_all(ends_[0], chunk.data(), chunk.size()));
  right.work(now_ns());
  EXPECT_EQ(right.state(), Duplex::State::broken);
  EXPECT_EQ(right.receipt().first_wrong, 0u);
  Duplex left(ends_[0], 256, 1, 2, 1);
  shutdown(ends_[1], SHUT_RDWR);
  std::array<std::byte, 4096> rest{};
  while (recv(ends_[0], rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
  }
  left.work(now_ns());
  EXPECT_EQ(left.state(), Duplex::State::broken);
  EXPECT_EQ(left.receipt().first_wrong, Receipt::kNone);
}

}  // namespace
}  // namespace ppvmm::netload

#include "net/shadow/shadow.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace ppvmm::net {
namespace {

/// A driver with a short ring whose wire takes what the test says.
class FakeNic final : public Nic {
 public:
  std::deque<Frame> ring;
  std::size_t room{4};
  std::uint64_t refuse_tag{};

  [[nodiscard]] std::string_view name() const override { return "fake"; }
  [[nodiscard]] NicFeatures features() const override { return {}; }
  [[nodiscard]] MacAddress mac() const override { return {}; }
  [[nodiscard]] std::expected<void, NicError> start() override { return {}; }
  std::expected<void, NicError> stop(std::vector<Frame>&) override { return {}; }
  [[nodiscard]] std::expected<void, NicError> restart(std::vector<Frame>& unsent) override {
    for (Frame& frame : ring)
      unsent.push_back(std::move(frame));
    ring.clear();
    return {};
  }
  [[nodiscard]] TransmitResult transmit(Frame&& frame) override {
    if (frame.tag() == refuse_tag) return TransmitResult::refused;
    if (ring.size() == room) return TransmitResult::full;
    ring.push_back(std::move(frame));
    return TransmitResult::accepted;
  }
  void flush() override {}
  [[nodiscard]] bool on_interrupt() override { return false; }
  std::size_t poll(std::size_t) override { return 0; }
  [[nodiscard]] NicLink link() const override { return {}; }
  void set_promiscuous(bool) override {}
  void set_multicast(std::span<const MacAddress>) override {}
  [[nodiscard]] bool set_mtu(std::uint16_t) override { return true; }
  [[nodiscard]] NicStatistics statistics() override { return {}; }
  [[nodiscard]] NicHealth health() override { return {}; }
};

class ShadowTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 64;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::vector<DmaAddress> dma_ = std::vector<DmaAddress>(kBuffers);
  BufferPool pool_{memory_.data(), dma_, kBuffers};
  Shadow shadow_{8};
  FakeNic nic_;
  std::vector<Shadow::Ended> ended_;

  bool entrust(std::uint64_t tag) {
    Frame frame = pool_.frame_of(60);
    frame.tag() = tag;
    return shadow_.entrust(std::move(frame));
  }
  void send_one() {
    Frame frame = std::move(nic_.ring.front());
    nic_.ring.pop_front();
    shadow_.sent(frame, ended_);
  }
};

TEST_F(ShadowTest, FramesEndWhenTheWireHasThem) {
  for (std::uint64_t tag = 1; tag <= 6; ++tag)
    ASSERT_TRUE(entrust(tag));
  shadow_.pump(nic_, ended_);
  EXPECT_EQ(nic_.ring.size(), 4u);
  EXPECT_TRUE(ended_.empty());
  send_one();
  shadow_.pump(nic_, ended_);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].tag, 1u);
  EXPECT_TRUE(ended_[0].sent);
  while (!nic_.ring.empty()) {
    send_one();
    shadow_.pump(nic_, ended_);
  }
  EXPECT_EQ(shadow_.held(), 0u);
  EXPECT_EQ(ended_.size(), 6u);
  EXPECT_EQ(pool_.statistics().free_frames, kBuffers);
}

TEST_F(ShadowTest, ADriverThatForgetsGetsEverythingAgainInOrder) {
  for (std::uint64_t tag = 1; tag <= 6; ++tag)
    ASSERT_TRUE(entrust(tag));
  shadow_.pump(nic_, ended_);
  send_one();
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_.restart(unsent));
  unsent.clear();
  shadow_.forget_given();
  ASSERT_TRUE(entrust(7));
  nic_.room = 100;
  shadow_.pump(nic_, ended_);
  ASSERT_EQ(nic_.ring.size(), 6u);
  for (std::uint64_t i = 0; i < 6; ++i)
    EXPECT_EQ(nic_.ring[i].tag(), i + 2);
  EXPECT_EQ(shadow_.statistics().resent, 3u) << "the rest was given for the first time";
}

TEST_F(ShadowTest, AFullShadowSaysSoAndLosesNothing) {
  for (std::uint64_t tag = 1; tag <= 8; ++tag)
    ASSERT_TRUE(entrust(tag));
  Frame frame = pool_.frame_of(60);
  EXPECT_FALSE(shadow_.entrust(std::move(frame)));
  EXPECT_TRUE(frame);
  EXPECT_EQ(shadow_.statistics().full, 1u);
  shadow_.drop_all(ended_);
  EXPECT_EQ(ended_.size(), 8u);
  EXPECT_FALSE(ended_[3].sent);
  EXPECT_TRUE(shadow_.room());
}

TEST_F(ShadowTest, WhatTheDeviceCanNeverSendEndsWithoutTheOthers) {
  nic_.refuse_tag = 2;
  for (std::uint64_t tag = 1; tag <= 4; ++tag)
    ASSERT_TRUE(entrust(tag));
  shadow_.pump(nic_, ended_);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].tag, 2u);
  EXPECT_FALSE(ended_[0].sent);
  ASSERT_EQ(nic_.ring.size(), 3u);
  EXPECT_EQ(nic_.ring[1].tag(), 3u);
  for (int i = 0; i < 3; ++i)
    send_one();
  EXPECT_EQ(ended_.back().tag, 4u);
  EXPECT_EQ(shadow_.statistics().unknown, 0u);
}

TEST_F(ShadowTest, ALyingDriverEndsNothing) {
  ASSERT_TRUE(entrust(1));
  ASSERT_TRUE(entrust(2));
  const Frame invented = pool_.frame_of(60);
  shadow_.sent(invented, ended_);
  shadow_.pump(nic_, ended_);
  shadow_.sent(nic_.ring[1], ended_);
  EXPECT_TRUE(ended_.empty());
  EXPECT_EQ(shadow_.held(), 2u);
  EXPECT_EQ(shadow_.statistics().unknown, 2u);
}

}  // namespace
}  // namespace ppvmm::net

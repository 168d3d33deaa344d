// The driver's restart, and the next driver over the same device.
#include <algorithm>
#include <cstring>
#include <new>

#include "rig_82574.hpp"

namespace ppvmm::net::nic::e1000e {
namespace {

class E1000eRestartTest : public Rig {};

TEST_F(E1000eRestartTest, ARestartKeepsTheLinkAndGivesBackWhatWasNotSent) {
  start();
  for (std::uint64_t i = 0; i < 10; ++i)
    ASSERT_EQ(nic_->transmit(frame(packet(60 + i, static_cast<unsigned>(i)), i)),
              TransmitResult::accepted);
  nic_->flush();
  serve();
  device_.stuck = true;
  for (std::uint64_t i = 10; i < 30; ++i)
    ASSERT_EQ(nic_->transmit(frame(packet(60 + i, static_cast<unsigned>(i)), i)),
              TransmitResult::accepted);
  nic_->flush();
  // A few more that the device was not even told of.
  for (std::uint64_t i = 30; i < 33; ++i)
    ASSERT_EQ(nic_->transmit(frame(packet(60 + i, static_cast<unsigned>(i)), i)),
              TransmitResult::accepted);

  const std::uint64_t resets = device_.resets;
  const std::uint64_t began = device_.elapsed_us;
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_EQ(device_.resets, resets + 1);
  EXPECT_EQ(device_.link_negotiations, 0u);
  EXPECT_LT(device_.elapsed_us - began, 1000u);
  EXPECT_TRUE(client_.links.empty());
  EXPECT_TRUE(nic_->link().up);
  ASSERT_EQ(unsent.size(), 23u);
  EXPECT_EQ(nic_->health().accepted, nic_->health().sent);

  device_.stuck = false;
  for (std::size_t i = 0; i < unsent.size(); ++i) {
    ASSERT_EQ(unsent[i].tag(), i + 10);
    ASSERT_EQ(nic_->transmit(std::move(unsent[i])), TransmitResult::accepted);
  }
  nic_->flush();
  ASSERT_TRUE(device_.arrive(packet(99)));
  serve();
  EXPECT_EQ(client_.in.size(), 1u);
  ASSERT_EQ(client_.tags.size(), 33u);
  ASSERT_EQ(device_.sent.size(), 33u);
  for (std::size_t i = 0; i < 33; ++i) {
    EXPECT_EQ(client_.tags[i], i);
    EXPECT_EQ(device_.sent[i].bytes, packet(60 + i, static_cast<unsigned>(i)));
  }
  EXPECT_EQ(nic_->statistics().restarts, 1u);
  EXPECT_EQ(nic_->health().sent, 33u);
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(E1000eRestartTest, ARestartKeepsWhatTheDeviceHadReceived) {
  start();
  for (unsigned i = 0; i < 40; ++i)
    ASSERT_TRUE(device_.arrive(packet(100 + i, i)));
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_TRUE(client_.in.empty()) << "the client is told by poll() alone";
  ASSERT_TRUE(device_.arrive(packet(99)));
  (void)nic_->poll(64);
  ASSERT_EQ(client_.in.size(), 41u);
  for (unsigned i = 0; i < 40; ++i)
    EXPECT_EQ(bytes_of(client_.in[i]), packet(100 + i, i)) << "in order";
  EXPECT_EQ(bytes_of(client_.in[40]), packet(99)) << "before what comes later";
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(E1000eRestartTest, ANewDriverHandsOnWhatTheDeviceHadReceived) {
  start_owned();
  expect_heirs_hand_on([this](unsigned seed) { return packet(100, seed); });
}

TEST_F(E1000eRestartTest, AnEmptyRingGivesNothing) {
  start_owned();
  replace_driver();
  (void)nic_->poll(64);
  EXPECT_TRUE(client_.in.empty());
  ASSERT_TRUE(device_.arrive(packet(100)));
  (void)nic_->poll(64);
  EXPECT_EQ(client_.in.size(), 1u);
}

TEST_F(E1000eRestartTest, AddressesThatAreNoFreeBuffersAreNotBelieved) {
  start_owned();
  for (unsigned i = 0; i < 4; ++i)
    ASSERT_TRUE(device_.arrive(packet(100, i)));
  receive_ring()[1].address = 0x1234'5678'9000;
  receive_ring()[2].address = receive_ring()[0].address;
  replace_driver();
  (void)nic_->poll(64);
  ASSERT_EQ(client_.in.size(), 2u);
  EXPECT_EQ(bytes_of(client_.in[0]), packet(100, 0));
  EXPECT_EQ(bytes_of(client_.in[1]), packet(100, 3));
}

TEST_F(E1000eRestartTest, ARingOfSomebodyElseIsLeftAlone) {
  start_owned();
  for (unsigned i = 0; i < 4; ++i)
    ASSERT_TRUE(device_.arrive(packet(100, i)));
  device_.set(Reg::rdbal, 0x7000);
  replace_driver();
  (void)nic_->poll(64);
  EXPECT_TRUE(client_.in.empty());
}

TEST_F(E1000eRestartTest, AContextIsToldAgainAfterARestart) {
  start();
  const Offload offload{.checksum_blank = true, .checksum_start = 34, .checksum_offset = 16};
  for (int round = 0; round < 2; ++round) {
    Frame one = frame(tcp_packet(false, 10));
    one.offload() = offload;
    ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted);
    nic_->flush();
    EXPECT_EQ(device_.sent.back().context[1], 34u | 50u << 8);
    serve();
    std::vector<Frame> unsent;
    ASSERT_TRUE(nic_->restart(unsent));
    EXPECT_TRUE(unsent.empty());
  }
}

TEST_F(E1000eRestartTest, RoomThatWasOwedIsToldAfterARestart) {
  start();
  device_.stuck = true;
  while (nic_->transmit(frame(packet(60))) == TransmitResult::accepted) {
  }
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_EQ(client_.rooms, 0u);
  (void)nic_->poll(64);
  EXPECT_EQ(client_.rooms, 1u);
}

/// A driver that dies with its memory damaged is thrown away as it is; the next one over the same
/// device gets everything going, and the pool gets back what the dead one held.
TEST_F(E1000eRestartTest, ANewDriverTakesOverFromADeadOne) {
  start();
  device_.stuck = true;
  const Frame kept = frame(packet(77), 5);
  ASSERT_EQ(nic_->transmit(kept.share()), TransmitResult::accepted);
  nic_->flush();
  ASSERT_TRUE(device_.arrive(packet(64)));
  std::unique_ptr<Nic> dead(std::move(nic_));
  auto* const abandoned = dead.release();

  auto made = E1000e::create(resources_);
  ASSERT_TRUE(made);
  nic_ = std::move(*made);
  pool_.reclaim([&](const BufferPool::Marker& mark) { mark(kept); });
  ASSERT_TRUE(nic_->start());
  device_.stuck = false;
  ASSERT_EQ(nic_->transmit(kept.share()), TransmitResult::accepted);
  nic_->flush();
  serve();
  EXPECT_EQ(device_.sent.back().bytes, bytes_of(kept));
  EXPECT_EQ(device_.link_negotiations, 0u);
  EXPECT_EQ(client_.tags, std::vector<std::uint64_t>{5});
  // Its storage is freed without its destructors: what it held is no longer its own.
  ::operator delete(static_cast<void*>(abandoned));
}

}  // namespace
}  // namespace ppvmm::net::nic::e1000e

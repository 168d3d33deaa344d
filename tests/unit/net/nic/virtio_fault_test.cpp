// The virtio driver's restart, and a device that is gone, or lies.
#include <algorithm>
#include <cstring>
#include <random>

#include "rig_virtio.hpp"

namespace ppvmm::net::nic::virtio {
namespace {

TEST_F(VirtioTest, ARestartGivesBackWhatWasNotSentInOrder) {
  start();
  device_.stuck = true;
  for (std::uint64_t i = 0; i < 30; ++i)
    ASSERT_EQ(nic_->transmit(frame(packet(60), i)), TransmitResult::accepted);
  nic_->flush();
  const NicHealth before = nic_->health();
  EXPECT_TRUE(nic_->health().stuck_since(before));
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  ASSERT_EQ(unsent.size(), 30u);
  device_.stuck = false;
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(unsent[i].tag(), i);
    ASSERT_EQ(nic_->transmit(std::move(unsent[i])), TransmitResult::accepted);
  }
  nic_->flush();
  serve();
  EXPECT_EQ(client_.tags.size(), 30u);
  EXPECT_TRUE(std::ranges::is_sorted(client_.tags));
  EXPECT_EQ(nic_->health().accepted, nic_->health().sent);
}

TEST_F(VirtioTest, ARestartKeepsWhatTheDeviceHadReceived) {
  start();
  for (unsigned i = 0; i < 20; ++i)
    ASSERT_TRUE(device_.arrive(packet(i == 7 ? 9000 : 100 + i, i)));
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_TRUE(client_.in.empty()) << "the client is told by poll() alone";
  ASSERT_TRUE(device_.arrive(packet(99, 50)));
  (void)nic_->poll(64);
  ASSERT_EQ(client_.in.size(), 21u);
  for (unsigned i = 0; i < 20; ++i)
    EXPECT_EQ(bytes_of(client_.in[i]), packet(i == 7 ? 9000 : 100 + i, i));
  EXPECT_EQ(bytes_of(client_.in[20]), packet(99, 50));
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(VirtioTest, ANewDriverHandsOnWhatTheDeviceHadReceived) {
  start_owned();
  expect_heirs_hand_on([](unsigned seed) { return packet(100, seed); });
}

TEST_F(VirtioTest, AFullQueueSaysSoAndTellsWhenThereIsRoom) {
  start();
  device_.stuck = true;
  std::uint64_t taken = 0;
  while (nic_->transmit(frame(packet(60), taken)) == TransmitResult::accepted)
    ++taken;
  EXPECT_EQ(taken, kQueueEntriesMax / 2);  // a header and a piece for each
  nic_->flush();
  device_.finish();
  serve();
  EXPECT_EQ(client_.rooms, 1u);
  EXPECT_EQ(client_.tags.size(), taken);
}

TEST_F(VirtioTest, AGoneOrStubbornDeviceIsGivenUp) {
  start();
  device_.gone = true;
  EXPECT_EQ(nic_->transmit(frame(packet(60))), TransmitResult::accepted);
  nic_->flush();
  EXPECT_FALSE(nic_->health().present);
  std::vector<Frame> unsent;
  EXPECT_EQ(nic_->restart(unsent).error(), NicError::device_gone);
  EXPECT_TRUE(unsent.empty());
  device_.gone = false;
  device_.never_resets = true;
  EXPECT_EQ(nic_->restart(unsent).error(), NicError::reset_failed);
  EXPECT_LT(device_.elapsed_us, 200'000u);
  device_.never_resets = false;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_EQ(unsent.size(), 1u);
}

TEST_F(VirtioTest, UsedEntriesThatLieBreakTheQueueUntilARestart) {
  for (const int lie : {0, 1, 2}) {
    start();
    if (lie == 0) device_.use(0, 0xFFFFFF, 60);  // no such descriptor
    if (lie == 1) device_.use(1, 3, 0);          // not out
    if (lie == 2) device_.use(0, 1, 60, 500);    // more than there are
    serve();
    EXPECT_TRUE(nic_->health().device_error) << lie;
    EXPECT_TRUE(client_.in.empty());
    std::vector<Frame> unsent;
    ASSERT_TRUE(nic_->restart(unsent));
    EXPECT_FALSE(nic_->health().device_error);
    ASSERT_TRUE(device_.arrive(packet(64)));
    serve();
    EXPECT_EQ(client_.in.size(), 1u);
    client_.in.clear();
  }
}

TEST_F(VirtioTest, LengthsAndBufferCountsThatLieAreDropped) {
  start();
  ASSERT_TRUE(device_.arrive(packet(64), {.buffers = 19}));
  device_.use(0, 1, 5);           // not even a header
  device_.use(0, 2, 0xFFFFFFFF);  // more than a buffer holds
  serve();
  EXPECT_TRUE(client_.in.empty());
  EXPECT_EQ(nic_->statistics().rx_malformed, 3u);
  EXPECT_EQ(nic_->health().rx_posted, kQueueEntriesMax);
}

TEST_F(VirtioTest, AnEmptyPoolDropsPacketsButNeverDeafens) {
  start();
  std::vector<Buffer> hoard;
  while (Buffer one = pool_.take())
    hoard.push_back(std::move(one));
  for (unsigned i = 0; i < 600; ++i) {
    ASSERT_TRUE(device_.arrive(packet(64, i))) << i;
    serve();
  }
  EXPECT_TRUE(client_.in.empty());
  hoard.clear();
  ASSERT_TRUE(device_.arrive(packet(64)));
  serve();
  EXPECT_EQ(client_.in.size(), 1u);
}

TEST_F(VirtioTest, RandomRingsNeverHurt) {
  start();
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    const auto queue = static_cast<std::uint16_t>(random() % 2);
    device_.use(queue, static_cast<std::uint32_t>(random() % (random() % 8 == 0 ? 70000 : 256)),
                static_cast<std::uint32_t>(random() % 8 == 0 ? random() : random() % 4097),
                random() % 50 == 0 ? static_cast<std::uint16_t>(random()) : std::uint16_t{1});
    std::byte* const header = memory_.page(random() % kBuffers);
    header[10] = static_cast<std::byte>(random() % 4);
    header[11] = std::byte{0};
    if (random() % 3 == 0) {
      (void)nic_->transmit(frame(packet(64)));
      nic_->flush();
    }
    (void)nic_->on_interrupt();
    (void)nic_->poll(16);
    client_.in.clear();
    if (nic_->health().device_error && random() % 4 == 0) {
      std::vector<Frame> unsent;
      ASSERT_TRUE(nic_->restart(unsent));
    }
  }
  client_.last_sent.reset();
  nic_.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
  EXPECT_EQ(pool_.statistics().free_frames, 600u);
}

}  // namespace
}  // namespace ppvmm::net::nic::virtio

// The driver against a device that is broken, hostile, or gone.
#include <algorithm>
#include <cstring>
#include <random>

#include "rig_82574.hpp"

namespace ppvmm::net::nic::e1000e {
namespace {

class E1000eFaultTest : public Rig {};

TEST_F(E1000eFaultTest, AStuckRingIsSeenAndABusyOneIsNot) {
  start();
  const NicHealth idle = nic_->health();
  EXPECT_FALSE(nic_->health().stuck_since(idle));  // nothing to do is no fault
  device_.stuck = true;
  ASSERT_EQ(nic_->transmit(frame(packet(60))), TransmitResult::accepted);
  nic_->flush();
  const NicHealth before = nic_->health();
  EXPECT_FALSE(before.stuck_since(idle));
  EXPECT_TRUE(nic_->health().stuck_since(before));
  device_.stuck = false;
  device_.holds_back = true;
  ASSERT_EQ(nic_->transmit(frame(packet(60))), TransmitResult::accepted);
  nic_->flush();
  EXPECT_FALSE(nic_->health().stuck_since(before));  // its head moved
}

TEST_F(E1000eFaultTest, ADeviceThatIsGoneIsNoticedEverywhereAndBreaksNothing) {
  start();
  ASSERT_EQ(nic_->transmit(frame(packet(60), 7)), TransmitResult::accepted);
  device_.gone = true;
  nic_->flush();
  EXPECT_TRUE(nic_->on_interrupt());
  EXPECT_EQ(nic_->poll(64), 0u);
  EXPECT_FALSE(nic_->health().present);
  EXPECT_EQ(nic_->transmit(frame(packet(60))), TransmitResult::full);
  (void)nic_->statistics();
  std::vector<Frame> unsent;
  const auto failed = nic_->restart(unsent);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), NicError::device_gone);
  EXPECT_TRUE(unsent.empty());  // nothing is given back while the device may still have it

  device_.gone = false;  // it was only away for a while
  ASSERT_TRUE(nic_->restart(unsent));
  ASSERT_EQ(unsent.size(), 1u);
  EXPECT_EQ(unsent[0].tag(), 7u);
  EXPECT_TRUE(nic_->health().present);
  EXPECT_EQ(nic_->transmit(std::move(unsent[0])), TransmitResult::accepted);
}

TEST_F(E1000eFaultTest, AGoneDeviceIsNotStarted) {
  device_.gone = true;
  const auto made = E1000e::create(resources_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), NicError::device_gone);
}

TEST_F(E1000eFaultTest, AResetThatNeverEndsIsGivenUp) {
  auto made = E1000e::create(resources_);
  ASSERT_TRUE(made);
  device_.never_resets = true;
  const auto started = (*made)->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), NicError::reset_failed);
  EXPECT_LT(device_.elapsed_us, 50'000u);
  device_.never_resets = false;
  EXPECT_TRUE((*made)->start());
}

TEST_F(E1000eFaultTest, ABusMasterThatDoesNotComeToRestIsResetAllTheSame) {
  device_.master_stuck = true;
  device_.set(Reg::status, device_.get(Reg::status) | status::kMasterActive);
  start();
  EXPECT_EQ(device_.resets, 1u);
  EXPECT_TRUE(device_.arrive(packet(64)));
}

TEST_F(E1000eFaultTest, AnAddressThatIsNoneIsRefused) {
  // The reset loads the address from the NVM, so the wrong one is put in behind it.
  class NoAddress final : public Registers {
   public:
    explicit NoAddress(Sim82574& device) : device_(&device) {}
    std::size_t size() const override { return device_->size(); }
    std::uint8_t read8(std::size_t at) override { return device_->read8(at); }
    std::uint16_t read16(std::size_t at) override { return device_->read16(at); }
    std::uint32_t read32(std::size_t at) override {
      return at == static_cast<std::size_t>(Reg::ral0) ? 0x00000001 : device_->read32(at);
    }
    void write8(std::size_t at, std::uint8_t v) override { device_->write8(at, v); }
    void write16(std::size_t at, std::uint16_t v) override { device_->write16(at, v); }
    void write32(std::size_t at, std::uint32_t v) override { device_->write32(at, v); }
    void pause(std::uint32_t us) override { device_->pause(us); }

   private:
    Sim82574* device_;
  } registers(device_);
  Resources resources = resources_;
  resources.bars[0] = &registers;
  auto other = E1000e::create(resources);
  ASSERT_TRUE(other);
  const auto started = (*other)->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), NicError::bad_address);
}

TEST_F(E1000eFaultTest, LengthsThatCannotBeAreDroppedAndCounted) {
  start();
  constexpr std::uint8_t kWhole = rx_status::kDone | rx_status::kEnd;
  write_back(0, 0, kWhole);
  write_back(1, 4097, kWhole);
  write_back(2, 0xFFFF, kWhole);
  write_back(3, 13, kWhole);
  write_back(4, 60, kWhole);
  serve();
  EXPECT_EQ(client_.in.size(), 1u);
  EXPECT_EQ(nic_->statistics().rx_malformed, 4u);
  EXPECT_TRUE(nic_->health().device_error);
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_FALSE(nic_->health().device_error);
}

TEST_F(E1000eFaultTest, AFrameWithoutEndIsCutOffAndTheNextOneIsWhole) {
  start();
  for (std::size_t i = 0; i < 100; ++i)
    write_back(i, 4096, rx_status::kDone);
  serve();
  EXPECT_TRUE(client_.in.empty());
  EXPECT_EQ(nic_->statistics().rx_malformed, 1u);
  write_back(100, 60, rx_status::kDone | rx_status::kEnd);  // still of the endless one
  write_back(101, 70, rx_status::kDone | rx_status::kEnd);
  serve();
  ASSERT_EQ(client_.in.size(), 1u);
  EXPECT_EQ(client_.in[0].length(), 70u);
}

/// A device that writes all descriptors back at once, whether it owns them or not, costs one pass.
TEST_F(E1000eFaultTest, OnlyWhatTheDeviceWasGivenIsTaken) {
  start();
  for (std::size_t i = 0; i < E1000e::kRing; ++i)
    write_back(i, 60, rx_status::kDone | rx_status::kEnd);
  ASSERT_TRUE(nic_->on_interrupt());
  EXPECT_LE(nic_->poll(100'000), 2 * E1000e::kRing);
}

TEST_F(E1000eFaultTest, RandomDescriptorsNeverHurt) {
  start();
  std::mt19937 random(42);
  for (int round = 0; round < 20'000; ++round) {
    auto& one = receive_ring()[random() % E1000e::kRing];
    one.address = random();
    one.length = static_cast<std::uint16_t>(random() % 3 == 0 ? random() : random() % 4097);
    one.status = static_cast<std::uint8_t>(random());
    one.errors = static_cast<std::uint8_t>(random() % 8 == 0 ? random() : 0);
    if (random() % 4 == 0) {
      (void)nic_->transmit(frame(packet(64)));
      nic_->flush();
    }
    auto& out = reinterpret_cast<TransmitDescriptor*>(own_.page(1))[random() % E1000e::kRing];
    out.upper = static_cast<std::uint32_t>(random());
    if (nic_->on_interrupt() || round % 3 == 0) (void)nic_->poll(16);
    client_.in.clear();
    (void)nic_->health();
    if (round % 1000 == 999) {
      std::vector<Frame> unsent;
      ASSERT_TRUE(nic_->restart(unsent));
    }
  }
  client_.last_sent.reset();
  nic_.reset();
  EXPECT_EQ(pool_.statistics().free_buffers, 700u);
  EXPECT_EQ(pool_.statistics().free_frames, 600u);
}

TEST_F(E1000eFaultTest, HeadsBeyondTheRingAreADeviceError) {
  start();
  device_.set(Reg::tdh, 300);
  EXPECT_TRUE(nic_->health().device_error);
}

TEST_F(E1000eFaultTest, AfterStopTheDeviceTouchesNothing) {
  start();
  device_.stuck = true;
  ASSERT_EQ(nic_->transmit(frame(packet(60), 3)), TransmitResult::accepted);
  nic_->flush();
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->stop(unsent));
  ASSERT_EQ(unsent.size(), 1u);
  unsent.clear();
  EXPECT_EQ(pool_.statistics().free_buffers, 700u);
  device_.unmap_all();
  device_.finish();
  EXPECT_FALSE(device_.arrive(packet(64)));
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(E1000eFaultTest, AnEmptyPoolDropsPacketsButNeverDeafens) {
  start();
  std::vector<Buffer> hoard;
  while (Buffer one = pool_.take())
    hoard.push_back(std::move(one));
  for (unsigned i = 0; i < 600; ++i) {
    ASSERT_TRUE(device_.arrive(packet(64, i)));
    serve();
  }
  EXPECT_TRUE(client_.in.empty());
  EXPECT_EQ(nic_->statistics().rx_no_buffer, 600u);
  hoard.clear();
  ASSERT_TRUE(device_.arrive(packet(64)));
  serve();
  EXPECT_EQ(client_.in.size(), 1u);
}

class E1000eShortTest : public Rig {
 protected:
  E1000eShortTest() : Rig(40) {}
};

TEST_F(E1000eShortTest, AShortPoolMakesAShortRingThatGrowsLater) {
  std::vector<Buffer> hoard;
  for (int i = 0; i < 30; ++i)
    hoard.push_back(pool_.take());
  start();
  EXPECT_EQ(nic_->health().rx_posted, 10u);
  hoard.clear();
  (void)nic_->poll(64);
  EXPECT_EQ(nic_->health().rx_posted, 40u);
}

TEST_F(E1000eShortTest, WithoutASingleBufferItDoesNotStart) {
  std::vector<Buffer> hoard;
  while (Buffer one = pool_.take())
    hoard.push_back(std::move(one));
  auto made = E1000e::create(resources_);
  ASSERT_TRUE(made);
  const auto started = (*made)->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), NicError::no_memory);
}

}  // namespace
}  // namespace ppvmm::net::nic::e1000e

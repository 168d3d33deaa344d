#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "bench.hpp"
#include "net/headers.hpp"
#include "net/nic/virtio/virtio_net.hpp"
#include "sim_virtio.hpp"
#include "support/grave.hpp"

namespace ppvmm::net::nic::virtio {
namespace {

class VirtioTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 700;

  VirtioTest() {
    for (std::size_t i = 0; i < kBuffers; ++i)
      device_.map(memory_.addresses()[i], memory_.page(i), kBufferBytes);
    for (std::size_t i = 0; i < kDriverPages; ++i) {
      device_.map(own_.addresses()[i], own_.page(i), kBufferBytes);
      pages_.push_back({own_.page(i), own_.addresses()[i]});
    }
    resources_.bars[4] = &device_;
    resources_.capabilities = capabilities_;
    resources_.pages = pages_;
    resources_.pool = &pool_;
    resources_.client = &client_;
  }

  void start() {
    auto made = VirtioNet::create(resources_);
    ASSERT_TRUE(made);
    nic_ = std::move(*made);
    ASSERT_TRUE(nic_->start());
  }
  [[nodiscard]] static std::vector<std::byte> packet(std::size_t length, unsigned seed = 0) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<std::byte>(seed + i);
    return bytes;
  }
  [[nodiscard]] Frame frame(const std::vector<std::byte>& bytes, std::uint64_t tag = 0,
                            std::size_t headroom = 0) {
    Frame made = pool_.frame_of(bytes.size(), headroom);
    made.copy_in(0, bytes);
    made.tag() = tag;
    return made;
  }
  void serve() {
    while (std::exchange(device_.interrupt, false) && nic_->on_interrupt()) {
      while (nic_->poll(64) == 64) {
      }
    }
  }

  Memory memory_{kBuffers, 0x4'0000'0000};
  Memory own_{kDriverPages, 0x8'0000'0000};
  std::vector<DmaPage> pages_;
  BufferPool pool_{memory_.data(), memory_.addresses(), 600};
  Client client_;
  SimVirtio device_;
  std::vector<VendorCapability> capabilities_ = SimVirtio::capabilities();
  Resources resources_;
  std::unique_ptr<Nic> nic_;
};

TEST_F(VirtioTest, StartsAndIsChosenByItsId) {
  const Driver* const driver = driver_for(0x1AF4, 0x1041);
  ASSERT_NE(driver, nullptr);
  EXPECT_EQ(driver->bars(capabilities_), 1u << 4);
  EXPECT_EQ(driver->create, &VirtioNet::create);
  start();
  EXPECT_EQ(nic_->mac(), device_.mac);
  EXPECT_TRUE(nic_->link().up);
  EXPECT_TRUE(nic_->features().checksum);
  EXPECT_TRUE(nic_->features().tso_v4);
  EXPECT_EQ(nic_->health().rx_posted, kQueueEntriesMax);
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(VirtioTest, ACardWithoutWhatIsNeededIsRefused) {
  device_.features = feature::kWanted & ~feature::kVersion1;
  EXPECT_EQ(VirtioNet::create(resources_).error(), NicError::unsupported);
  device_.features = feature::kWanted;
  device_.refuses_features = true;
  auto made = VirtioNet::create(resources_);
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->start().error(), NicError::unsupported);
  device_.refuses_features = false;
  device_.mac = {1, 0, 0, 0, 0, 0};
  EXPECT_EQ((*made)->start().error(), NicError::bad_address);
  device_.gone = true;
  EXPECT_EQ(VirtioNet::create(resources_).error(), NicError::device_gone);
}

TEST_F(VirtioTest, CapabilitiesThatLieAreNotFollowed) {
  for (VendorCapability& one : capabilities_) {
    const auto kept = one;
    one.bytes[cap::kOffset + 2] = 0xFF;  // far outside of the block
    const bool needed = one.bytes[cap::kType] != 3;
    EXPECT_EQ(VirtioNet::create(resources_).has_value(), !needed);
    one = kept;
    one.bytes[cap::kBar] = 200;
    EXPECT_EQ(VirtioNet::create(resources_).has_value(), !needed);
    (void)bars_of(capabilities_);
    one = kept;
  }
}

TEST_F(VirtioTest, FramesLeaveInOrderAndComeBackInOrder) {
  for (const bool backwards : {false, true}) {
    start();
    device_.sent.clear();
    client_.tags.clear();
    device_.backwards = backwards;
    std::vector<std::vector<std::byte>> all;
    for (unsigned round = 0; round < 10; ++round) {
      for (std::uint64_t i = 0; i < 20; ++i) {
        all.push_back(packet(60 + 70 * i, round + static_cast<unsigned>(i)));
        ASSERT_EQ(nic_->transmit(frame(all.back(), 20 * round + i, 4000)),
                  TransmitResult::accepted);
      }
      nic_->flush();
      serve();
    }
    ASSERT_EQ(device_.sent.size(), 200u);
    for (std::size_t i = 0; i < 200; ++i) {
      ASSERT_EQ(device_.sent[i].bytes, all[i]);
      ASSERT_EQ(client_.tags[i], i);
    }
  }
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(VirtioTest, OffloadsAreToldInTheHeader) {
  start();
  ASSERT_TRUE(nic_->set_mtu(1500));
  std::vector<std::byte> bytes(20'000);
  const std::span<std::byte> all{bytes};
  put_big16(all, 12, ethertype::kIpv4);
  bytes[14] = std::byte{0x45};
  bytes[23] = std::byte{protocol::kTcp};
  bytes[46] = std::byte{0x80};  // a TCP header of 32 bytes
  Frame one = frame(bytes);
  one.offload() = {.checksum_blank = true,
                   .gso = Gso::tcp_v4,
                   .gso_size = 1448,
                   .checksum_start = 34,
                   .checksum_offset = 16};
  ASSERT_EQ(nic_->transmit(std::move(one)), TransmitResult::accepted);
  Frame two = frame(packet(200));
  two.offload() = {.checksum_blank = true, .checksum_start = 34, .checksum_offset = 6};
  ASSERT_EQ(nic_->transmit(std::move(two)), TransmitResult::accepted);
  nic_->flush();
  ASSERT_EQ(device_.sent.size(), 2u);
  const PacketHeader& first = device_.sent[0].header;
  EXPECT_EQ(first.flags, kHeaderNeedsChecksum);
  EXPECT_EQ(first.gso_type, kGsoTcpV4);
  EXPECT_EQ(first.gso_size, 1448u);
  EXPECT_EQ(first.header_bytes, 66u);
  EXPECT_EQ(first.checksum_start, 34u);
  EXPECT_EQ(first.checksum_offset, 16u);
  EXPECT_EQ(device_.sent[0].bytes, bytes);
  EXPECT_EQ(device_.sent[1].header.checksum_offset, 6u);
  EXPECT_EQ(device_.sent[1].header.gso_type, kGsoNone);

  Frame large = frame(packet(1519));
  EXPECT_EQ(nic_->transmit(std::move(large)), TransmitResult::refused);
  Frame wrong = frame(packet(3000));
  wrong.offload().gso = Gso::tcp_v6;
  EXPECT_EQ(nic_->transmit(std::move(wrong)), TransmitResult::refused);
  Frame outside = frame(packet(100));
  outside.offload() = {.checksum_blank = true, .checksum_start = 90, .checksum_offset = 16};
  EXPECT_EQ(nic_->transmit(std::move(outside)), TransmitResult::refused);
}

TEST_F(VirtioTest, PacketsArriveWholeOverManyBuffers) {
  start();
  for (unsigned i = 0; i < 400; ++i) {
    const auto bytes = packet(14 + (i * 977) % 9004, i);
    ASSERT_TRUE(device_.arrive(bytes));
    serve();
    ASSERT_EQ(client_.in.size(), 1u) << i;
    ASSERT_EQ(bytes_of(client_.in[0]), bytes) << i;
    client_.in.clear();
  }
  EXPECT_EQ(nic_->health().rx_posted, kQueueEntriesMax);
  EXPECT_EQ(device_.faults, 0u);
}

TEST_F(VirtioTest, ChecksumsAreTakenAsTheHeaderSays) {
  start();
  ASSERT_TRUE(device_.arrive(packet(100)));
  ASSERT_TRUE(device_.arrive(packet(100), {.flags = kHeaderDataValid}));
  ASSERT_TRUE(device_.arrive(
      packet(100), {.flags = kHeaderNeedsChecksum, .checksum_start = 34, .checksum_offset = 16}));
  // Outside of the packet; and a segmentation that nobody agreed to.
  ASSERT_TRUE(device_.arrive(
      packet(100), {.flags = kHeaderNeedsChecksum, .checksum_start = 90, .checksum_offset = 16}));
  ASSERT_TRUE(device_.arrive(packet(100), {.gso_type = kGsoTcpV4, .gso_size = 10}));
  serve();
  ASSERT_EQ(client_.in.size(), 3u);
  EXPECT_FALSE(client_.in[0].offload().data_validated);
  EXPECT_TRUE(client_.in[1].offload().data_validated);
  EXPECT_FALSE(client_.in[1].offload().checksum_blank);
  EXPECT_TRUE(client_.in[2].offload().checksum_blank);
  EXPECT_EQ(client_.in[2].offload().checksum_start, 34u);
  EXPECT_EQ(nic_->statistics().rx_malformed, 2u);
}

TEST_F(VirtioTest, FiltersAreOrderedAndComeBackAfterARestart) {
  start();
  device_.commands.clear();
  nic_->set_promiscuous(true);
  ASSERT_FALSE(device_.commands.empty());
  EXPECT_EQ(device_.commands[0], (std::array<std::uint8_t, 3>{0, kCommandPromiscuous, 1}));
  const MacAddress group{1, 0, 0x5E, 0, 0, 1};
  nic_->set_multicast(std::span{&group, 1});
  EXPECT_EQ(device_.commands.back(), (std::array<std::uint8_t, 3>{0, kCommandAllMulticast, 1}));
  device_.commands.clear();
  std::vector<Frame> unsent;
  ASSERT_TRUE(nic_->restart(unsent));
  EXPECT_EQ(device_.commands.size(), 2u);
  EXPECT_EQ(device_.commands[0][2], 1);
}

TEST_F(VirtioTest, TheLinkIsFollowed) {
  start();
  device_.plug(false);
  serve();
  ASSERT_EQ(client_.links.size(), 1u);
  EXPECT_FALSE(client_.links[0].up);
  device_.plug(true);
  serve();
  EXPECT_EQ(client_.links.size(), 2u);
}

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
  constexpr std::uint8_t kDriver = 1;
  pool_.enter(kDriver);
  start();
  std::vector<std::unique_ptr<Nic>> dead;
  unsigned seed = 0;
  for (int round = 0; round < 12; ++round) {
    for (unsigned i = 0; i < 31; ++i)
      ASSERT_TRUE(device_.arrive(packet(100, seed++)));
    (void)nic_->poll(64);
    for (unsigned i = 0; i < 50; ++i)
      ASSERT_TRUE(device_.arrive(packet(100, seed++)));
    // The driver dies: nothing of it runs any more, and what it held comes back to the pool.
    dead.push_back(std::move(nic_));
    for (const Frame& each : client_.in)
      pool_.give(each, 0);
    pool_.reclaim_owned(kDriver);
    resources_.inherited = true;
    start();
    (void)nic_->poll(64);
    ASSERT_EQ(client_.in.size(), 81u) << round;
    for (unsigned i = 0; i < 81; ++i)
      ASSERT_EQ(bytes_of(client_.in[i]), packet(100, seed - 81 + i)) << round << ", " << i;
    client_.in.clear();
  }
  EXPECT_EQ(device_.faults, 0u);
  for (auto& each : dead)
    ::ppvmm::test::bury(each);
  pool_.enter(0);
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

// The virtio driver at its work.
#include <algorithm>
#include <cstring>

#include "rig_virtio.hpp"

namespace ppvmm::net::nic::virtio {
namespace {

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

}  // namespace
}  // namespace ppvmm::net::nic::virtio

/// virtio-net over PCI, as the specification has it ("Virtual I/O Device (VIRTIO) Version 1.2",
/// OASIS; section numbers below are its).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ppvmm::net::nic::virtio {

/// 4.1.2: a modern device has 0x1040 plus the device type as its id; 1 is a network card.
inline constexpr std::uint16_t kVendor = 0x1AF4;
inline constexpr std::uint16_t kDeviceNet = 0x1041;

/// 4.1.4: vendor capabilities that say where the device's registers are.
namespace cap {
inline constexpr std::size_t kLength = 2;
inline constexpr std::size_t kType = 3;
inline constexpr std::size_t kBar = 4;
inline constexpr std::size_t kOffset = 8;       // 32 bits
inline constexpr std::size_t kBytes = 12;       // 32 bits
inline constexpr std::size_t kMultiplier = 16;  // 32 bits, kNotify only
inline constexpr std::uint8_t kCommon = 1;
inline constexpr std::uint8_t kNotify = 2;
inline constexpr std::uint8_t kDevice = 4;
}  // namespace cap

/// 4.1.4.3: common configuration.
namespace common {
inline constexpr std::size_t kDeviceFeatureSelect = 0x00;  // 32
inline constexpr std::size_t kDeviceFeature = 0x04;        // 32
inline constexpr std::size_t kDriverFeatureSelect = 0x08;  // 32
inline constexpr std::size_t kDriverFeature = 0x0C;        // 32
inline constexpr std::size_t kConfigVector = 0x10;         // 16
inline constexpr std::size_t kQueues = 0x12;               // 16
inline constexpr std::size_t kStatus = 0x14;               // 8
inline constexpr std::size_t kQueueSelect = 0x16;          // 16
inline constexpr std::size_t kQueueSize = 0x18;            // 16
inline constexpr std::size_t kQueueVector = 0x1A;          // 16
inline constexpr std::size_t kQueueEnable = 0x1C;          // 16
inline constexpr std::size_t kQueueNotifyOffset = 0x1E;    // 16
inline constexpr std::size_t kQueueDescriptors = 0x20;     // 64, as two times 32
inline constexpr std::size_t kQueueDriver = 0x28;          // 64
inline constexpr std::size_t kQueueDevice = 0x30;          // 64
inline constexpr std::size_t kBytes = 0x38;
}  // namespace common

/// 2.1: device status.
namespace status {
inline constexpr std::uint8_t kAcknowledge = 1;
inline constexpr std::uint8_t kDriver = 2;
inline constexpr std::uint8_t kDriverOk = 4;
inline constexpr std::uint8_t kFeaturesOk = 8;
inline constexpr std::uint8_t kNeedsReset = 64;
inline constexpr std::uint8_t kGone = 0xFF;
}  // namespace status

/// 5.1.3 and 6: feature bits.
namespace feature {
inline constexpr std::uint64_t kChecksum = 1ull << 0;       ///< completes blank checksums
inline constexpr std::uint64_t kGuestChecksum = 1ull << 1;  ///< we take blank ones
inline constexpr std::uint64_t kMac = 1ull << 5;
inline constexpr std::uint64_t kHostTso4 = 1ull << 11;
inline constexpr std::uint64_t kHostTso6 = 1ull << 12;
inline constexpr std::uint64_t kMergeableBuffers = 1ull << 15;
inline constexpr std::uint64_t kStatus = 1ull << 16;  ///< link state in the configuration
inline constexpr std::uint64_t kControlQueue = 1ull << 17;
inline constexpr std::uint64_t kControlReceive = 1ull << 18;
inline constexpr std::uint64_t kVersion1 = 1ull << 32;
inline constexpr std::uint64_t kAccessPlatform = 1ull << 33;  ///< its DMA goes through the IOMMU
/// Without these it cannot be served.
inline constexpr std::uint64_t kNeeded = kVersion1 | kMac | kMergeableBuffers;
inline constexpr std::uint64_t kWanted = kNeeded | kChecksum | kGuestChecksum | kHostTso4 |
                                         kHostTso6 | kStatus | kControlQueue | kControlReceive |
                                         kAccessPlatform;
}  // namespace feature

/// 5.1.4: device configuration of a network card.
namespace config {
inline constexpr std::size_t kMac = 0;
inline constexpr std::size_t kStatus = 6;  // 16 bits: bit 0, the link is up
inline constexpr std::uint16_t kLinkUp = 1;
}  // namespace config

/// 5.1.2: with one pair of queues.
inline constexpr std::uint16_t kReceiveQueue = 0;
inline constexpr std::uint16_t kTransmitQueue = 1;
inline constexpr std::uint16_t kControlQueue = 2;

/// 2.7.5: descriptor of a split virtqueue.
struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t flags;
  std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);
inline constexpr std::uint16_t kFlagNext = 1;
inline constexpr std::uint16_t kFlagDeviceWrites = 2;

inline constexpr std::uint16_t kQueueEntriesMax = 256;

/// 2.7.6: what the driver makes available.
struct AvailableRing {
  std::uint16_t flags;  ///< Bit 0: no interrupts, please.
  std::uint16_t index;
  std::array<std::uint16_t, kQueueEntriesMax> ring;
};
static_assert(sizeof(AvailableRing) == 4 + 2 * kQueueEntriesMax);

/// 2.7.8: what the device has used.
struct UsedEntry {
  std::uint32_t id;
  std::uint32_t length;
};
struct UsedRing {
  std::uint16_t flags;  ///< Bit 0: no notifications, please.
  std::uint16_t index;
  std::array<UsedEntry, kQueueEntriesMax> ring;
};
static_assert(sizeof(UsedRing) == 4 + 8 * kQueueEntriesMax);
inline constexpr std::uint16_t kSuppress = 1;

/// 5.1.6: comes before each packet, both ways.
struct PacketHeader {
  std::uint8_t flags{};
  std::uint8_t gso_type{};
  std::uint16_t header_bytes{};
  std::uint16_t gso_size{};
  std::uint16_t checksum_start{};
  std::uint16_t checksum_offset{};
  std::uint16_t buffers{};  ///< Received packets only.
};
static_assert(sizeof(PacketHeader) == 12);
inline constexpr std::uint8_t kHeaderNeedsChecksum = 1;
inline constexpr std::uint8_t kHeaderDataValid = 2;
inline constexpr std::uint8_t kGsoNone = 0;
inline constexpr std::uint8_t kGsoTcpV4 = 1;
inline constexpr std::uint8_t kGsoTcpV6 = 4;

/// 5.1.6.5.1: commands of the control queue.
inline constexpr std::uint8_t kClassReceive = 0;
inline constexpr std::uint8_t kCommandPromiscuous = 0;
inline constexpr std::uint8_t kCommandAllMulticast = 1;
inline constexpr std::uint8_t kAcknowledged = 0;

}  // namespace ppvmm::net::nic::virtio

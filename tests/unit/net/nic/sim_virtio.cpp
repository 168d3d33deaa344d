#include "sim_virtio.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace ppvmm::net::nic::virtio {
namespace {

void put32(VendorCapability& capability, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    capability.bytes[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

VendorCapability make(std::uint8_t type, std::uint32_t offset, std::uint32_t bytes) {
  VendorCapability one;
  one.bytes[0] = 9;
  one.bytes[cap::kLength] = 20;
  one.bytes[cap::kType] = type;
  one.bytes[cap::kBar] = 4;
  put32(one, cap::kOffset, offset);
  put32(one, cap::kBytes, bytes);
  put32(one, cap::kMultiplier, SimVirtio::kMultiplier);
  return one;
}

}  // namespace

std::vector<VendorCapability> SimVirtio::capabilities() {
  return {make(cap::kNotify, kNotifyAt, 0x1000), make(cap::kDevice, kDeviceAt, 0x1000),
          make(3, 0x1000, 0x1000), make(cap::kCommon, kCommonAt, 0x1000)};
}

std::byte* SimVirtio::at(std::uint64_t address, std::size_t bytes) {
  auto range = memory_.upper_bound(address);
  if (range == memory_.begin()) {
    ++faults;
    return nullptr;
  }
  --range;
  const std::uint64_t offset = address - range->first;
  if (offset + bytes > range->second.bytes) {
    ++faults;
    return nullptr;
  }
  return range->second.data + offset;
}

void SimVirtio::reset() {
  ++resets;
  status = 0;
  rings_ = {};
  agreed_ = 0;
}

std::uint8_t SimVirtio::read8(std::size_t offset) {
  if (gone) return 0xFF;
  if (offset == kCommonAt + common::kStatus) return status;
  if (offset >= kDeviceAt && offset < kDeviceAt + 6) return mac[offset - kDeviceAt];
  return 0;
}

std::uint16_t SimVirtio::read16(std::size_t offset) {
  if (gone) return 0xFFFF;
  switch (offset) {
    case kCommonAt + common::kQueueSize:
      return rings_[selected_].size;
    case kCommonAt + common::kQueueNotifyOffset:
      return selected_;
    case kDeviceAt + config::kStatus:
      return link ? config::kLinkUp : 0;
    default:
      return 0;
  }
}

std::uint32_t SimVirtio::read32(std::size_t offset) {
  if (gone) return 0xFFFFFFFF;
  if (offset == kCommonAt + common::kDeviceFeature) {
    return static_cast<std::uint32_t>(features >> 32 * (feature_half_ & 1));
  }
  return 0;
}

void SimVirtio::write8(std::size_t offset, std::uint8_t value) {
  if (gone || offset != kCommonAt + common::kStatus) return;
  if (value == 0) {
    if (!never_resets) reset();
    return;
  }
  status = value;
  if ((agreed_ & ~features) != 0 || refuses_features) {
    status = static_cast<std::uint8_t>(status & ~status::kFeaturesOk);
  }
}

void SimVirtio::write16(std::size_t offset, std::uint16_t value) {
  if (gone) return;
  Ring& ring = rings_[selected_];
  switch (offset) {
    case kCommonAt + common::kQueueSelect:
      selected_ = std::min<std::uint16_t>(value, 2);
      return;
    case kCommonAt + common::kQueueSize:
      ring.size = value;
      return;
    case kCommonAt + common::kQueueEnable:
      ring.enabled = value == 1;
      return;
    case kNotifyAt + 1 * kMultiplier:
      transmit();
      return;
    case kNotifyAt + 2 * kMultiplier:
      control();
      return;
    default:
      return;
  }
}

void SimVirtio::write32(std::size_t offset, std::uint32_t value) {
  if (gone) return;
  Ring& ring = rings_[selected_];
  const auto half = [value](std::uint64_t& word, bool high) {
    word = high ? (word & 0xFFFFFFFF) | std::uint64_t{value} << 32
                : (word & ~std::uint64_t{0xFFFFFFFF}) | value;
  };
  switch (offset) {
    case kCommonAt + common::kDeviceFeatureSelect:
      feature_half_ = value;
      return;
    case kCommonAt + common::kDriverFeatureSelect:
      driver_half_ = value;
      return;
    case kCommonAt + common::kDriverFeature:
      half(agreed_, driver_half_ == 1);
      return;
    case kCommonAt + common::kQueueDescriptors:
    case kCommonAt + common::kQueueDescriptors + 4:
      half(ring.descriptors, offset % 8 == 4);
      return;
    case kCommonAt + common::kQueueDriver:
    case kCommonAt + common::kQueueDriver + 4:
      half(ring.available, offset % 8 == 4);
      return;
    case kCommonAt + common::kQueueDevice:
    case kCommonAt + common::kQueueDevice + 4:
      half(ring.used, offset % 8 == 4);
      return;
    default:
      return;
  }
}

std::optional<std::uint16_t> SimVirtio::next(Ring& ring) {
  if (!ring.enabled || (status & status::kDriverOk) == 0) return std::nullopt;
  const std::byte* const page = at(ring.available, sizeof(AvailableRing));
  if (page == nullptr) return std::nullopt;
  AvailableRing available;
  std::memcpy(&available, page, sizeof available);
  if (available.index == ring.seen) return std::nullopt;
  return available.ring[ring.seen++ % ring.size];
}

std::vector<Descriptor> SimVirtio::chain(const Ring& ring, std::uint16_t head) {
  std::vector<Descriptor> all;
  for (std::uint16_t i = 0; i < ring.size; ++i) {
    const std::byte* const place = at(ring.descriptors + head * sizeof(Descriptor), 16);
    if (place == nullptr) break;
    Descriptor one;
    std::memcpy(&one, place, sizeof one);
    all.push_back(one);
    if ((one.flags & kFlagNext) == 0) break;
    head = one.next;
  }
  return all;
}

void SimVirtio::use(std::uint16_t queue, std::uint32_t id, std::uint32_t length,
                    std::uint16_t step) {
  Ring& ring = rings_[queue];
  std::byte* const page = at(ring.used, sizeof(UsedRing));
  if (page == nullptr) return;
  const UsedEntry entry{id, length};
  std::memcpy(page + 4 + (ring.put % ring.size) * sizeof entry, &entry, sizeof entry);
  ring.put = static_cast<std::uint16_t>(ring.put + step);
  std::memcpy(page + 2, &ring.put, 2);
  std::uint16_t flags = 0;
  if (const std::byte* const available = at(ring.available, 2)) std::memcpy(&flags, available, 2);
  if ((flags & kSuppress) == 0) interrupt = true;
}

void SimVirtio::transmit() {
  if (stuck) return;
  Ring& ring = rings_[1];
  std::vector<std::uint16_t> heads;
  while (const auto head = next(ring)) {
    std::vector<std::byte> bytes;
    for (const Descriptor& one : chain(ring, *head)) {
      const std::byte* const data = at(one.address, one.length);
      if (data == nullptr) return;
      bytes.insert(bytes.end(), data, data + one.length);
    }
    Sent one;
    std::memcpy(&one.header, bytes.data(), sizeof one.header);
    one.bytes.assign(bytes.begin() + sizeof one.header, bytes.end());
    sent.push_back(std::move(one));
    heads.push_back(*head);
  }
  if (backwards) std::ranges::reverse(heads);
  for (const std::uint16_t head : heads)
    use(1, head, 0);
}

void SimVirtio::control() {
  Ring& ring = rings_[2];
  while (const auto head = next(ring)) {
    const auto all = chain(ring, *head);
    if (all.size() != 3) continue;
    const std::byte* const command = at(all[0].address, 2);
    const std::byte* const value = at(all[1].address, 1);
    std::byte* const reply = at(all[2].address, 1);
    if (command == nullptr || value == nullptr || reply == nullptr) return;
    commands.push_back({std::to_integer<std::uint8_t>(command[0]),
                        std::to_integer<std::uint8_t>(command[1]),
                        std::to_integer<std::uint8_t>(value[0])});
    *reply = std::byte{kAcknowledged};
    use(2, *head, 1);
  }
}

bool SimVirtio::arrive(const std::vector<std::byte>& packet, PacketHeader header) {
  if (gone) return false;
  Ring& ring = rings_[0];
  std::vector<std::byte> all(sizeof header);
  all.insert(all.end(), packet.begin(), packet.end());
  if (header.buffers == 0) {
    header.buffers = static_cast<std::uint16_t>((all.size() + 4095) / 4096);
  }
  std::memcpy(all.data(), &header, sizeof header);
  for (std::size_t done = 0; done < all.size(); done += 4096) {
    const auto head = next(ring);
    if (!head) return false;
    const auto buffers = chain(ring, *head);
    const std::size_t length = std::min<std::size_t>(4096, all.size() - done);
    std::byte* const place = at(buffers[0].address, length);
    if (place == nullptr || (buffers[0].flags & kFlagDeviceWrites) == 0) return false;
    std::memcpy(place, all.data() + done, length);
    use(0, *head, static_cast<std::uint32_t>(length));
  }
  return true;
}

}  // namespace ppvmm::net::nic::virtio

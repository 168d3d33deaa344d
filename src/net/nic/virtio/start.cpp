// Bringing a virtio network card up and down: VIRTIO 1.2, 3.1 and 4.1.5.
#include <algorithm>
#include <cstring>
#include <utility>

#include "net/nic/virtio/virtio_net.hpp"

namespace ppvmm::net::nic::virtio {
namespace {

/// Control queue: entries, and where its page of used entries has room for commands.
constexpr std::uint16_t kControlEntries = 8;
constexpr std::size_t kCommandPlace = 3072;
static_assert(kCommandPlace >= sizeof(UsedRing));

std::uint32_t word_of(const VendorCapability& capability, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= std::uint32_t{capability.bytes[at + i]} << 8 * i;
  return value;
}

}  // namespace

std::uint8_t bars_of(std::span<const VendorCapability> capabilities) {
  std::uint8_t bars = 0;
  for (const VendorCapability& capability : capabilities) {
    const std::uint8_t type = capability.bytes[cap::kType];
    const std::uint8_t bar = capability.bytes[cap::kBar];
    const bool ours = type == cap::kCommon || type == cap::kNotify || type == cap::kDevice;
    if (ours && bar < kBlocksMax) bars = static_cast<std::uint8_t>(bars | 1u << bar);
  }
  return bars;
}

VirtioNet::VirtioNet(const Resources& resources)
    : pool_(resources.pool),
      client_(resources.client),
      receive_queue_(resources.pages[0], resources.pages[1], resources.pages[2]),
      transmit_queue_(resources.pages[3], resources.pages[4], resources.pages[5]),
      control_queue_(resources.pages[6], resources.pages[7], resources.pages[8]),
      header_page_(resources.pages[9]),
      inherited_(resources.inherited) {}

VirtioNet::~VirtioNet() {
  if (started_) (void)reset();
}

std::expected<std::unique_ptr<Nic>, NicError> VirtioNet::create(const Resources& resources) {
  if (resources.pages.size() < kDriverPages || resources.pool == nullptr ||
      resources.client == nullptr) {
    return std::unexpected(NicError::unsupported);
  }
  std::unique_ptr<VirtioNet> driver(new VirtioNet(resources));
  const auto found = driver->find_windows(resources);
  if (!found) return std::unexpected(found.error());
  if (driver->device_status() == status::kGone) return std::unexpected(NicError::device_gone);
  driver->features_ = driver->device_features() & feature::kWanted;
  if ((driver->features_ & feature::kNeeded) != feature::kNeeded) {
    return std::unexpected(NicError::unsupported);
  }
  return driver;
}

/// 4.1.4: the first capability of a type counts; what does not lie in its block is none.
std::expected<void, NicError> VirtioNet::find_windows(const Resources& resources) {
  for (const VendorCapability& capability : resources.capabilities) {
    const std::uint8_t bar = capability.bytes[cap::kBar];
    if (bar >= kBlocksMax || resources.bars[bar] == nullptr) continue;
    const Window window{.registers = resources.bars[bar],
                        .offset = word_of(capability, cap::kOffset),
                        .bytes = word_of(capability, cap::kBytes)};
    const std::size_t block = window.registers->size();
    if (window.offset > block || window.bytes > block - window.offset) continue;
    switch (capability.bytes[cap::kType]) {
      case cap::kCommon:
        if (common_.registers == nullptr && window.bytes >= common::kBytes) common_ = window;
        break;
      case cap::kNotify:
        if (notify_.registers != nullptr) break;
        notify_ = window;
        notify_multiplier_ = word_of(capability, cap::kMultiplier);
        break;
      case cap::kDevice:
        if (device_.registers == nullptr && window.bytes >= config::kStatus + 2) device_ = window;
        break;
      default:
        break;
    }
  }
  if (common_.registers == nullptr || notify_.registers == nullptr ||
      device_.registers == nullptr) {
    return std::unexpected(NicError::unsupported);
  }
  return {};
}

std::uint8_t VirtioNet::device_status() {
  return common_.registers->read8(common_.offset + common::kStatus);
}

void VirtioNet::add_status(std::uint8_t bits) {
  common_.registers->write8(common_.offset + common::kStatus,
                            static_cast<std::uint8_t>(device_status() | bits));
}

std::uint64_t VirtioNet::device_features() {
  std::uint64_t features = 0;
  for (std::uint32_t half = 0; half < 2; ++half) {
    common_.registers->write32(common_.offset + common::kDeviceFeatureSelect, half);
    const std::uint32_t bits = common_.registers->read32(common_.offset + common::kDeviceFeature);
    features |= std::uint64_t{bits} << 32 * half;
  }
  return features;
}

void VirtioNet::write_features(std::uint64_t features) {
  for (std::uint32_t half = 0; half < 2; ++half) {
    common_.registers->write32(common_.offset + common::kDriverFeatureSelect, half);
    common_.registers->write32(common_.offset + common::kDriverFeature,
                               static_cast<std::uint32_t>(features >> 32 * half));
  }
}

NicFeatures VirtioNet::features() const {
  const bool checksum = (features_ & feature::kChecksum) != 0;
  return {.checksum = checksum,
          .tso_v4 = checksum && (features_ & feature::kHostTso4) != 0,
          .tso_v6 = checksum && (features_ & feature::kHostTso6) != 0,
          .fragments = kFragmentsMax,
          .mtu_max = kMtuMax};
}

/// 2.4: a device is reset by writing 0 to its status, and has done it when 0 can be read. From then
/// on it touches none of our memory.
std::expected<void, NicError> VirtioNet::reset() {
  constexpr std::uint32_t kStep = 10;
  constexpr std::uint32_t kLimit = 100'000;
  if (device_status() == status::kGone) {
    gone_ = true;
    return std::unexpected(NicError::device_gone);
  }
  common_.registers->write8(common_.offset + common::kStatus, 0);
  for (std::uint32_t waited = 0; device_status() != 0; waited += kStep) {
    if (waited >= kLimit) {
      gone_ = device_status() == status::kGone;
      return std::unexpected(gone_ ? NicError::device_gone : NicError::reset_failed);
    }
    common_.registers->pause(kStep);
  }
  gone_ = false;
  device_error_ = false;
  return {};
}

/// 3.1.1, steps 2 to 6.
std::expected<void, NicError> VirtioNet::agree() {
  add_status(status::kAcknowledge);
  add_status(status::kDriver);
  features_ = device_features() & feature::kWanted;
  if ((features_ & feature::kNeeded) != feature::kNeeded) {
    return std::unexpected(NicError::unsupported);
  }
  write_features(features_);
  add_status(status::kFeaturesOk);
  if ((device_status() & status::kFeaturesOk) == 0) return std::unexpected(NicError::unsupported);
  MacAddress mac{};
  for (std::size_t i = 0; i < mac.size(); ++i)
    mac[i] = device_.registers->read8(device_.offset + config::kMac + i);
  if ((mac[0] & 1) != 0 || mac == MacAddress{}) return std::unexpected(NicError::bad_address);
  mac_ = mac;
  return {};
}

/// 4.1.5.1.3.
std::expected<void, NicError> VirtioNet::set_up_queue(std::uint16_t number, Queue& queue,
                                                      std::uint16_t most) {
  Registers& regs = *common_.registers;
  const std::size_t base = common_.offset;
  regs.write16(base + common::kQueueSelect, number);
  const std::uint16_t offered = regs.read16(base + common::kQueueSize);
  if (offered == 0 || (offered & (offered - 1)) != 0) return std::unexpected(NicError::unsupported);
  queue.reset(std::min(offered, most));
  regs.write16(base + common::kQueueSize, queue.size());
  // 4.1.5.1.2: one vector for everything, 0. A device without MSI-X reads 0xFFFF here.
  regs.write16(base + common::kQueueVector, 0);
  const auto put = [&](std::size_t place, DmaAddress address) {
    regs.write32(base + place, static_cast<std::uint32_t>(address));
    regs.write32(base + place + 4, static_cast<std::uint32_t>(address >> 32));
  };
  put(common::kQueueDescriptors, queue.descriptors().address);
  put(common::kQueueDriver, queue.available().address);
  put(common::kQueueDevice, queue.used().address);
  // 4.1.4.4: where this queue is notified.
  const std::size_t place =
      std::size_t{regs.read16(base + common::kQueueNotifyOffset)} * notify_multiplier_;
  if (place + 2 > notify_.bytes) return std::unexpected(NicError::unsupported);
  notify_offsets_[number] = notify_.offset + place;
  regs.write16(base + common::kQueueEnable, 1);
  return {};
}

void VirtioNet::notify(std::uint16_t number) {
  notify_.registers->write16(notify_offsets_[number], number);
}

std::expected<void, NicError> VirtioNet::start() {
  std::vector<Frame> unsent;
  return restart(unsent);
}

std::expected<void, NicError> VirtioNet::stop(std::vector<Frame>& unsent) {
  const auto quiet = reset();
  // Without an answer from the device its buffers stay where it may still write to them.
  if (!quiet && !gone_) return quiet;
  started_ = false;
  take_unsent(unsent);
  assembling_.reset();
  for (Buffer& buffer : receive_buffers_)
    buffer.reset();
  for (Frame& frame : rescued_)
    frame.reset();
  rescued_count_ = 0;
  return {};
}

std::expected<void, NicError> VirtioNet::restart(std::vector<Frame>& unsent) {
  if (started_) ++statistics_.restarts;
  const auto quiet = reset();
  if (!quiet) return quiet;
  rescue();
  started_ = false;
  take_unsent(unsent);
  assembling_.reset();
  pieces_left_ = 0;
  discarding_ = false;
  for (Buffer& buffer : receive_buffers_)
    buffer.reset();

  const auto agreed = agree();
  if (!agreed) return agreed;
  common_.registers->write16(common_.offset + common::kConfigVector, 0);
  const auto receive_ready = set_up_queue(kReceiveQueue, receive_queue_, kQueueEntriesMax);
  if (!receive_ready) return receive_ready;
  const auto transmit_ready = set_up_queue(kTransmitQueue, transmit_queue_, kQueueEntriesMax);
  if (!transmit_ready) return transmit_ready;
  if ((features_ & feature::kControlQueue) != 0) {
    const auto control_ready = set_up_queue(kControlQueue, control_queue_, kControlEntries);
    if (!control_ready) return control_ready;
    control_queue_.interrupts(false);
  }
  add_status(status::kDriverOk);
  started_ = true;
  refill();
  if (receive_queue_.free() == receive_queue_.size()) {
    (void)reset();
    started_ = false;
    return std::unexpected(NicError::no_memory);
  }
  apply_filters();
  look_at_link(false);
  return {};
}

/// With those that were sent behind one that was not: order counts more than a duplicate.
void VirtioNet::take_unsent(std::vector<Frame>& unsent) {
  for (; outgoing_count_ > 0; --outgoing_count_) {
    Outgoing& one = outgoing_[outgoing_first_];
    outgoing_first_ = (outgoing_first_ + 1) % kQueueEntriesMax;
    one.done = false;
    unsent.push_back(std::move(one.frame));
    --accepted_;
  }
}

/// 5.1.6.5.1. The device answers a command before long, or not at all: its filter then stays as
/// wide as it is, which costs time and loses nothing.
bool VirtioNet::order(std::uint8_t command, bool on) {
  constexpr std::uint64_t kControl = feature::kControlQueue | feature::kControlReceive;
  if (!started_ || (features_ & kControl) != kControl) return false;
  std::byte* const place = control_queue_.used().data + kCommandPlace;
  const DmaAddress address = control_queue_.used().address + kCommandPlace;
  place[0] = std::byte{kClassReceive};
  place[1] = std::byte{command};
  place[2] = on ? std::byte{1} : std::byte{0};
  place[3] = std::byte{0xFF};
  const std::array out{Piece{address, 2}, Piece{address + 2, 1}};
  const std::array in{Piece{address + 3, 1}};
  if (!control_queue_.add(out, in)) return false;
  if (control_queue_.publish()) notify(kControlQueue);
  for (int tries = 0; tries < 1000; ++tries) {
    if (control_queue_.take()) {
      return static_cast<volatile std::byte*>(place)[3] == std::byte{kAcknowledged};
    }
    if (control_queue_.broken()) break;
    common_.registers->pause(10);
  }
  device_error_ = true;
  return false;
}

void VirtioNet::apply_filters() {
  (void)order(kCommandPromiscuous, promiscuous_);
  (void)order(kCommandAllMulticast, all_multicast_);
}

void VirtioNet::set_promiscuous(bool on) {
  promiscuous_ = on;
  apply_filters();
}

void VirtioNet::set_multicast(std::span<const MacAddress> groups) {
  all_multicast_ = !groups.empty();
  apply_filters();
}

bool VirtioNet::set_mtu(std::uint16_t mtu) {
  if (mtu > kMtuMax) return false;
  mtu_ = mtu;
  return true;
}

void VirtioNet::look_at_link(bool tell) {
  bool up = true;
  if ((features_ & feature::kStatus) != 0) {
    const std::uint16_t now = device_.registers->read16(device_.offset + config::kStatus);
    up = (now & config::kLinkUp) != 0;
  }
  const NicLink link{.up = up, .full_duplex = up, .speed_mbps = 0};
  if (link == link_) return;
  link_ = link;
  if (!tell) return;
  ++statistics_.link_changes;
  client_->link_changed(link_);
}

NicHealth VirtioNet::health() {
  NicHealth health{.accepted = accepted_, .sent = sent_, .received = statistics_.rx_packets};
  const std::uint8_t now = device_status();
  gone_ = gone_ || now == status::kGone;
  health.present = !gone_;
  if (gone_) return health;
  if ((now & status::kNeedsReset) != 0 || receive_queue_.broken() || transmit_queue_.broken()) {
    device_error_ = true;
  }
  health.device_error = device_error_;
  health.link_up = link_.up;
  health.tx_head = transmit_queue_.used_index();
  health.tx_tail = transmit_queue_.available_index();
  health.rx_head = receive_queue_.used_index();
  health.rx_tail = receive_queue_.available_index();
  health.rx_posted = static_cast<std::uint32_t>(receive_queue_.size() - receive_queue_.free());
  return health;
}

bool VirtioNet::on_interrupt() {
  ++statistics_.interrupts;
  receive_queue_.interrupts(false);
  transmit_queue_.interrupts(false);
  return true;
}

std::size_t VirtioNet::poll(std::size_t budget) {
  if (!started_ || gone_) return 0;
  const std::uint64_t sent_before = sent_;
  reap();
  for (std::size_t i = 0; i < rescued_count_; ++i)
    client_->received(std::move(rescued_[i]));
  rescued_count_ = 0;
  const std::size_t done = receive(budget);
  if (done >= budget) return done;
  // An interrupt without packets is the configuration's: the link (5.1.4).
  if (done == 0 && sent_ == sent_before) look_at_link(true);
  receive_queue_.interrupts(true);
  transmit_queue_.interrupts(true);
  // 2.7.7.1: what the device used just before it saw that will not be announced.
  if (!receive_queue_.ready() && !transmit_queue_.ready()) return done;
  receive_queue_.interrupts(false);
  transmit_queue_.interrupts(false);
  return budget;
}

}  // namespace ppvmm::net::nic::virtio

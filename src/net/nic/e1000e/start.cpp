// Bringing the 82574L up and down: datasheet chapter 4.6, "Initialization Sequence".
#include <algorithm>
#include <cstring>

#include "net/nic/e1000e/e1000e.hpp"

namespace ppvmm::net::nic::e1000e {
namespace {

constexpr std::array<std::uint32_t, 4> kSpeeds{10, 100, 1000, 1000};

}  // namespace

E1000e::E1000e(const Resources& resources)
    : registers_(resources.bars[0]),
      pool_(resources.pool),
      client_(resources.client),
      receive_page_(resources.pages[0]),
      transmit_page_(resources.pages[1]),
      header_pages_(resources.pages.subspan(2, kHeaderPages)),
      inherited_(resources.inherited) {}

std::expected<std::unique_ptr<Nic>, NicError> E1000e::create(const Resources& resources) {
  if (resources.bars[0] == nullptr || resources.bars[0]->size() < kRegisterBytes ||
      resources.pages.size() < kDriverPages || resources.pool == nullptr ||
      resources.client == nullptr) {
    return std::unexpected(NicError::unsupported);
  }
  std::unique_ptr<E1000e> driver(new E1000e(resources));
  if (driver->read(Reg::status) == kGone) return std::unexpected(NicError::device_gone);
  return driver;
}

E1000e::~E1000e() {
  if (started_ && quiet()) (void)reset();
}

NicFeatures E1000e::features() const {
  return {.checksum = true,
          .tso_v4 = true,
          .tso_v6 = true,
          .fragments = kFragmentsMax,
          .mtu_max = kMtuMax};
}

bool E1000e::wait_for(Reg reg, std::uint32_t mask, std::uint32_t value,
                      std::uint32_t microseconds) {
  constexpr std::uint32_t kStep = 10;
  for (std::uint32_t waited = 0;; waited += kStep) {
    const std::uint32_t now = read(reg);
    if (now != kGone && (now & mask) == value) return true;
    if (waited >= microseconds) return false;
    registers_->pause(kStep);
  }
}

/// Nothing is written to our memory any more afterwards, as far as the device obeys.
std::expected<void, NicError> E1000e::quiet() {
  write(Reg::imc, cause::kAll);
  const std::uint32_t control = read(Reg::ctrl);
  if (control == kGone) {
    gone_ = true;
    return std::unexpected(NicError::device_gone);
  }
  inherited_long_ = (read(Reg::rctl) & rctl::kLongPackets) != 0;
  write(Reg::rctl, 0);
  write(Reg::tctl, 0);
  // 3.1.3.10: no new request as a bus master, and wait until those under way are done. A device
  // that does not get there in time is reset all the same; that ends its requests the hard way.
  write(Reg::ctrl, control | ctrl::kMasterDisable);
  (void)wait_for(Reg::status, status::kMasterActive, 0, 800);
  return {};
}

std::expected<void, NicError> E1000e::reset() {
  const std::uint32_t control = read(Reg::ctrl);
  if (control == kGone) {
    gone_ = true;
    return std::unexpected(NicError::device_gone);
  }
  write(Reg::ctrl, (control & ~ctrl::kMasterDisable) | ctrl::kReset);
  // 10.2.2.1: the bit clears itself; then what lies in the NVM is loaded.
  registers_->pause(10);
  if (!wait_for(Reg::ctrl, ctrl::kReset | ctrl::kMasterDisable, 0, 20'000) ||
      !wait_for(Reg::eecd, eecd::kAutoReadDone, eecd::kAutoReadDone, 20'000)) {
    gone_ = read(Reg::status) == kGone;
    return std::unexpected(gone_ ? NicError::device_gone : NicError::reset_failed);
  }
  write(Reg::imc, cause::kAll);
  (void)read(Reg::icr);
  gone_ = false;
  device_error_ = false;
  return {};
}

std::expected<void, NicError> E1000e::read_mac() {
  const std::uint32_t low = read(Reg::ral0);
  const std::uint32_t high = read(Reg::rah0);
  MacAddress mac{};
  for (std::size_t i = 0; i < 4; ++i)
    mac[i] = static_cast<std::uint8_t>(low >> 8 * i);
  for (std::size_t i = 0; i < 2; ++i)
    mac[4 + i] = static_cast<std::uint8_t>(high >> 8 * i);
  const bool group = (mac[0] & 1) != 0;
  if ((high & kRahValid) == 0 || group || mac == MacAddress{}) {
    return std::unexpected(NicError::bad_address);
  }
  mac_ = mac;
  return {};
}

std::expected<void, NicError> E1000e::start() {
  std::vector<Frame> unsent;
  return restart(unsent);
}

std::expected<void, NicError> E1000e::stop(std::vector<Frame>& unsent) {
  auto done = quiet();
  if (done) done = reset();
  // Without an answer from the device its buffers stay where it may still write to them.
  if (!done && !gone_) return done;
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

std::expected<void, NicError> E1000e::restart(std::vector<Frame>& unsent) {
  if (started_) ++statistics_.restarts;
  if (const auto still = quiet(); !still) return still;
  rescue();
  if (const auto done = reset(); !done) return done;
  started_ = false;
  take_unsent(unsent);
  const auto named = read_mac();
  if (!named) return named;
  const auto filled = fill_receive_ring();
  if (!filled) return filled;
  set_up_receive();
  set_up_transmit();
  write_multicast();
  // 10.2.2.1: the PHY tells speed and duplex itself; the MAC must not guess them.
  constexpr std::uint32_t kGuesses = ctrl::kForceSpeed | ctrl::kForceDuplex | ctrl::kAutoSpeed;
  write(Reg::ctrl, (read(Reg::ctrl) & ~kGuesses) | ctrl::kLinkUp);
  write(Reg::tctl, tctl::kEnable | tctl::kPadShort | tctl::kCollisions | tctl::kDistance);
  write_rctl();
  write(Reg::itr, kInterruptGapNs / kItrNanoseconds);
  write(Reg::rdt, static_cast<std::uint32_t>(receive_tail_));
  started_ = true;
  look_at_link(false);
  masked_ = false;
  write(Reg::ims, cause::kWanted);
  return {};
}

std::expected<void, NicError> E1000e::fill_receive_ring() {
  assembling_.reset();
  discarding_ = false;
  std::memset(receive_page_.data, 0, kBufferBytes);
  receive_next_ = 0;
  std::size_t have = 0;
  // Buffers of before come first; the ring begins with as many as there are.
  for (Buffer& buffer : receive_buffers_) {
    if (!buffer) buffer = pool_->take();
    if (!buffer) continue;
    Buffer& place = receive_buffers_[have++];
    if (&place != &buffer) std::swap(place, buffer);
  }
  if (have == 0) return std::unexpected(NicError::no_memory);
  receive_tail_ = std::min(have, kRing - 1);
  for (std::size_t i = 0; i < receive_tail_; ++i)
    give_to_device(i);
  statistics_.rx_no_buffer += kRing - have;
  return {};
}

void E1000e::set_up_receive() {
  write(Reg::rdbal, static_cast<std::uint32_t>(receive_page_.address));
  write(Reg::rdbah, static_cast<std::uint32_t>(receive_page_.address >> 32));
  write(Reg::rdlen, kRing * sizeof(ReceiveDescriptor));
  write(Reg::rdh, 0);
  write(Reg::rdt, 0);
  write(Reg::rdtr, 0);
  write(Reg::radv, 0);
  write(Reg::rxcsum, rxcsum::kIp | rxcsum::kTcpUdp);
  // Legacy descriptors, one queue: what a reset leaves. QEMU before 8.0 keeps what another driver
  // (dom0's) had set over its reset, and then puts most packets into a second queue.
  write(Reg::rfctl, 0);
  write(Reg::mrqc, 0);
}

void E1000e::set_up_transmit() {
  std::memset(transmit_page_.data, 0, kBufferBytes);
  transmit_next_ = transmit_oldest_ = transmit_told_ = 0;
  context_valid_ = false;
  write(Reg::tdbal, static_cast<std::uint32_t>(transmit_page_.address));
  write(Reg::tdbah, static_cast<std::uint32_t>(transmit_page_.address >> 32));
  write(Reg::tdlen, kRing * sizeof(TransmitDescriptor));
  write(Reg::tdh, 0);
  write(Reg::tdt, 0);
  write(Reg::txdctl, kTxdctl);
  write(Reg::tipg, kTipg);
}

void E1000e::write_rctl() {
  std::uint32_t value = rctl::kEnable | rctl::kBroadcast | rctl::kBuffers4096 | rctl::kStripCrc;
  if (promiscuous_) value |= rctl::kUnicastPromiscuous | rctl::kMulticastPromiscuous;
  if (mtu_ > 1500) value |= rctl::kLongPackets;
  write(Reg::rctl, value);
}

void E1000e::write_multicast() {
  for (std::size_t i = 0; i < kMtaWords; ++i) {
    registers_->write32(static_cast<std::size_t>(Reg::mta) + 4 * i, multicast_[i]);
  }
}

void E1000e::set_promiscuous(bool on) {
  promiscuous_ = on;
  if (started_) write_rctl();
}

void E1000e::set_multicast(std::span<const MacAddress> groups) {
  multicast_ = {};
  for (const MacAddress& group : groups) {
    // 10.2.5.21, MO = 00b: bits 47 to 36 of the address choose one of 4096.
    const std::uint32_t hash = (static_cast<std::uint32_t>(group[5]) << 4 | group[4] >> 4) & 0xFFF;
    multicast_[hash >> 5] |= 1u << (hash & 31);
  }
  if (started_) write_multicast();
}

bool E1000e::set_mtu(std::uint16_t mtu) {
  if (mtu > kMtuMax) return false;
  mtu_ = mtu;
  if (started_) write_rctl();
  return true;
}

void E1000e::look_at_link(bool tell) {
  const std::uint32_t now = read(Reg::status);
  if (now == kGone) {
    gone_ = true;
    return;
  }
  const bool up = (now & status::kLinkUp) != 0;
  const NicLink link{.up = up,
                     .full_duplex = up && (now & status::kFullDuplex) != 0,
                     .speed_mbps = up ? kSpeeds[now >> status::kSpeedShift & 3] : 0};
  if (link == link_) return;
  link_ = link;
  if (!tell) return;
  ++statistics_.link_changes;
  client_->link_changed(link_);
}

void E1000e::take_unsent(std::vector<Frame>& unsent) {
  for (std::size_t at = transmit_oldest_; at != transmit_next_; at = (at + 1) % kRing) {
    if (!transmit_frames_[at]) continue;
    unsent.push_back(std::move(transmit_frames_[at]));
    --accepted_;
  }
  transmit_oldest_ = transmit_next_;
}

NicStatistics E1000e::statistics() {
  if (started_ && read(Reg::status) != kGone) {
    statistics_.rx_missed += read(Reg::mpc);
    statistics_.rx_errors += read(Reg::crcerrs);
    statistics_.rx_errors += read(Reg::rxerrc);
    statistics_.rx_errors += read(Reg::rlec);
  }
  return statistics_;
}

NicHealth E1000e::health() {
  NicHealth health{.device_error = device_error_,
                   .accepted = accepted_,
                   .sent = sent_,
                   .received = statistics_.rx_packets};
  const std::uint32_t now = read(Reg::status);
  gone_ = gone_ || now == kGone;
  health.present = !gone_;
  if (gone_) return health;
  health.link_up = (now & status::kLinkUp) != 0;
  health.tx_head = read(Reg::tdh);
  health.tx_tail = static_cast<std::uint32_t>(transmit_told_);
  health.rx_head = read(Reg::rdh);
  health.rx_tail = static_cast<std::uint32_t>(receive_tail_);
  if (health.tx_head >= kRing || health.rx_head >= kRing) {
    device_error_ = health.device_error = true;
    return health;
  }
  health.rx_posted = static_cast<std::uint32_t>((receive_tail_ + kRing - health.rx_head) % kRing);
  return health;
}

bool E1000e::on_interrupt() {
  ++statistics_.interrupts;
  const std::uint32_t causes = read(Reg::icr);  // reading clears (10.2.4.1)
  if (causes == kGone) {
    gone_ = true;
    return true;
  }
  link_pending_ = link_pending_ || (causes & cause::kLinkChange) != 0;
  if ((causes & cause::kWanted) == 0) return false;
  write(Reg::imc, cause::kAll);
  masked_ = true;
  return true;
}

std::size_t E1000e::poll(std::size_t budget) {
  if (!started_ || gone_) return 0;
  if (std::exchange(link_pending_, false)) look_at_link(true);
  reap();
  for (std::size_t i = 0; i < rescued_count_; ++i)
    client_->received(std::move(rescued_[i]));
  rescued_count_ = 0;
  const std::size_t done = receive(budget);
  // Most polls come with a guest's work and not with an interrupt: a register's write costs more
  // than all else here. What came without an interrupt says that ours may be masked.
  if (done < budget && (masked_ || done > 0)) {
    masked_ = false;
    write(Reg::ims, cause::kWanted);
  }
  return done;
}

}  // namespace ppvmm::net::nic::e1000e

#include "net/device/contained_nic.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "kernel/contain.hpp"

namespace ppvmm::net::device {
namespace {

NicStatistics operator+(const NicStatistics& a, const NicStatistics& b) {
  return {.rx_packets = a.rx_packets + b.rx_packets,
          .rx_bytes = a.rx_bytes + b.rx_bytes,
          .rx_errors = a.rx_errors + b.rx_errors,
          .rx_malformed = a.rx_malformed + b.rx_malformed,
          .rx_no_buffer = a.rx_no_buffer + b.rx_no_buffer,
          .rx_missed = a.rx_missed + b.rx_missed,
          .tx_packets = a.tx_packets + b.tx_packets,
          .tx_bytes = a.tx_bytes + b.tx_bytes,
          .tx_full = a.tx_full + b.tx_full,
          .tx_refused = a.tx_refused + b.tx_refused,
          .interrupts = a.interrupts + b.interrupts,
          .link_changes = a.link_changes + b.link_changes,
          .restarts = a.restarts + b.restarts};
}

}  // namespace

ContainedNic::ContainedNic(const nic::Driver& driver, const nic::Resources& resources,
                           kernel::vitals::Component component)
    : driver_(&driver), resources_(resources), client_(resources.client), component_(component) {
  resources_.client = this;
  // Nothing is allocated while the driver runs.
  received_.reserve(2 * kKept);
  sent_.reserve(2 * kKept);
}

std::expected<std::unique_ptr<ContainedNic>, NicError> ContainedNic::create(
    const nic::Driver& driver, const nic::Resources& resources,
    kernel::vitals::Component component) {
  std::unique_ptr<ContainedNic> contained(new ContainedNic(driver, resources, component));
  const auto made = contained->make();
  if (!made) return std::unexpected(made.error());
  return contained;
}

ContainedNic::~ContainedNic() {
  // A living driver quiets its device. A dead one is only memory.
  if (!run([this] { nic_.reset(); }, kResetPatience))
    ::operator delete(static_cast<void*>(nic_.release()));
}

template <typename Code>
bool ContainedNic::run(Code&& code, unsigned patience) {
  if (dead_) return false;
  const std::uint8_t outside = resources_.pool->enter(kOwner);
  dead_ = !kernel::contain(component_, patience, code);
  resources_.pool->enter(outside);
  if (dead_) ++deaths_;
  return !dead_;
}

std::expected<void, NicError> ContainedNic::make() {
  std::expected<std::unique_ptr<Nic>, NicError> made = std::unexpected(NicError::unsupported);
  dead_ = false;
  if (!run([&] {
        made = driver_->create(resources_);
        if (made) features_ = (*made)->features();
      })) {
    return std::unexpected(NicError::unsupported);
  }
  if (!made) {
    dead_ = true;
    return std::unexpected(made.error());
  }
  nic_ = std::move(*made);
  return {};
}

std::expected<void, NicError> ContainedNic::replace() {
  ::operator delete(static_cast<void*>(nic_.release()));
  // Frames that it had handed over already are whole, and ours.
  for (std::vector<Frame>* const kept : {&received_, &sent_})
    take_back(*kept);
  resources_.pool->reclaim_owned(kOwner);
  before_ = before_ + std::exchange(seen_, {});
  ++before_.restarts;
  resources_.inherited = true;
  return make();
}

std::expected<void, NicError> ContainedNic::begin_anew() {
  std::expected<void, NicError> started;
  const bool alive = run(
      [&] {
        (void)nic_->set_mtu(mtu_);
        nic_->set_promiscuous(promiscuous_);
        nic_->set_multicast(groups_);
        started = nic_->start();
        mac_ = nic_->mac();
        link_ = nic_->link();
      },
      kResetPatience);
  if (!alive) return std::unexpected(NicError::reset_failed);
  return started;
}

std::expected<void, NicError> ContainedNic::start() {
  if (dead_) {
    const auto replaced = replace();
    if (!replaced) return replaced;
  }
  return begin_anew();
}

std::expected<void, NicError> ContainedNic::stop(std::vector<Frame>& unsent) {
  std::expected<void, NicError> stopped;
  if (!run([&] { stopped = nic_->stop(unsent); }, kResetPatience)) {
    // A new driver's reset is what quiets the device now.
    const auto replaced = replace();
    if (!replaced) return replaced;
    if (!run([&] { stopped = nic_->stop(unsent); }, kResetPatience)) {
      return std::unexpected(NicError::reset_failed);
    }
  }
  take_back(unsent);
  return stopped;
}

std::expected<void, NicError> ContainedNic::restart(std::vector<Frame>& unsent) {
  std::expected<void, NicError> restarted;
  if (run(
          [&] {
            restarted = nic_->restart(unsent);
            link_ = nic_->link();
          },
          kResetPatience)) {
    take_back(unsent);
    return restarted;
  }
  // What a dead driver had put into the list cannot be told from what it was putting in.
  unsent = std::vector<Frame>();
  const auto replaced = replace();
  if (!replaced) return replaced;
  return begin_anew();
}

TransmitResult ContainedNic::transmit(Frame&& frame) {
  if (dead_) {
    room_owed_ = true;
    return TransmitResult::full;
  }
  TransmitResult result = TransmitResult::full;
  resources_.pool->give(frame, kOwner);
  if (!run([&] { result = nic_->transmit(std::move(frame)); })) {
    // Where the handle is now is unknown; the pool takes back what it stands for.
    new (&frame) Frame;
    return TransmitResult::accepted;
  }
  if (result != TransmitResult::accepted) {
    resources_.pool->give(frame, resources_.pool->owner());
  }
  return result;
}

void ContainedNic::flush() {
  (void)run([this] { nic_->flush(); });
}

bool ContainedNic::on_interrupt() {
  bool wanted = true;
  return !run([&] { wanted = nic_->on_interrupt(); }) || wanted;
}

std::size_t ContainedNic::poll(std::size_t budget) {
  std::size_t done = 0;
  const std::size_t some = std::min(budget, kKept);
  if (run([&] {
        done = nic_->poll(some);
        link_ = nic_->link();
      })) {
    if (done >= some) done = budget;
  } else {
    done = 0;
  }
  tell();
  return done;
}

/// They are no longer the driver's, but whose code runs now.
void ContainedNic::take_back(std::span<const Frame> frames) {
  for (const Frame& frame : frames)
    resources_.pool->give(frame, resources_.pool->owner());
}

/// What the driver said, now that it does not run. The client may die of it: what it was not told
/// yet is still here then, and still the driver's.
void ContainedNic::tell() {
  BufferPool& pool = *resources_.pool;
  for (Frame& frame : received_) {
    if (!frame) continue;
    pool.give(frame, pool.owner());
    client_->received(std::move(frame));
  }
  received_.clear();
  for (Frame& frame : sent_) {
    if (!frame) continue;
    pool.give(frame, pool.owner());
    client_->sent(std::move(frame));
  }
  sent_.clear();
  if (std::exchange(link_changed_, false)) client_->link_changed(link_);
  if (!dead_ && std::exchange(room_owed_, false)) client_->room();
}

void ContainedNic::set_promiscuous(bool on) {
  promiscuous_ = on;
  (void)run([&] { nic_->set_promiscuous(on); });
}

void ContainedNic::set_multicast(std::span<const MacAddress> groups) {
  groups_.assign(groups.begin(), groups.end());
  (void)run([&] { nic_->set_multicast(groups); });
}

bool ContainedNic::set_mtu(std::uint16_t mtu) {
  if (mtu > features_.mtu_max) return false;
  mtu_ = mtu;
  (void)run([&] { (void)nic_->set_mtu(mtu); });
  return true;
}

NicStatistics ContainedNic::statistics() {
  (void)run([this] { seen_ = nic_->statistics(); });
  return before_ + seen_;
}

NicHealth ContainedNic::health() {
  NicHealth health;
  if (run([&] { health = nic_->health(); })) return health;
  return {.present = true, .device_error = true, .link_up = link_.up};
}

}  // namespace ppvmm::net::device

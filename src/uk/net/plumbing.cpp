#include "uk/net/plumbing.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "uk/net/connection.hpp"

namespace ppvmm::netuk {
namespace {

constexpr std::uint32_t kBuffersTag = 0x6E74'0001;  // "nt"

/// As many records of frames as buffers: a frame has one buffer at least, and few are shared.
std::unique_ptr<net::device::DevicePool> make_pool(std::size_t buffers) {
  auto pool = net::device::DevicePool::create(buffers, buffers, kBuffersTag);
  if (!pool) kernel::panic("no memory for the buffers");
  return pool;
}

}  // namespace

Plumbing::Plumbing(std::size_t buffers)
    : memory_(make_pool(buffers)),
      copier_(memory_->pool()),
      records_(kept_records()),
      timer_(kernel::time::timers(), &Plumbing::on_deadline, this),
      audit_timer_(kernel::time::timers(), &Plumbing::on_audit, this),
      component_(kernel::vitals::component("netback")) {
  const std::uint8_t outside = pool().enter(kOwner);
  make_path();
  pool().enter(outside);
  // For whoever wants to do something to it from outside.
  kernel::log(kernel::Level::info, "netback lies at ",
              kernel::Hex{reinterpret_cast<std::uint64_t>(path_)}, ", ", sizeof(net::DataPath),
              " bytes");
}

void Plumbing::wake() {
  pending_ = true;
  work_.announce();
}

void Plumbing::kick(net::PortId port, std::uint8_t queue) {
  static_assert(net::kPortsMax <= 64 && net::kQueuesMax <= 8);
  kicked_[port] |= static_cast<std::uint8_t>(1u << queue);
  kicked_ports_ |= 1ul << port;
  wake();
}

void Plumbing::on_deadline(void* self) {
  static_cast<Plumbing*>(self)->wake();
}

kernel::task::Task<> Plumbing::pump() {
  for (;;) {
    while (!pending_)
      co_await work_.wait();
    pending_ = false;
    const bool more = pass();
    tell();
    if (watcher_ != nullptr) watcher_(watcher_context_);
    kernel::vitals::progress(component_);
    if (more) {
      pending_ = true;
      // Events that came meanwhile are taken before the next pass.
      co_await kernel::task::Reschedule{};
    }
  }
}

/// One pass of netback. True if there is more to do at once.
bool Plumbing::pass() {
  bool more = false;
  std::optional<kernel::Nanoseconds> due;
  const kernel::Nanoseconds now = kernel::time::now();
  ++passes_;
  if (!audit_timer_.armed()) audit_timer_.once(now + kAuditNs);
  const bool alive = guard([&] {
    for (std::uint64_t ports = std::exchange(kicked_ports_, 0); ports != 0; ports &= ports - 1) {
      const auto port = static_cast<net::PortId>(__builtin_ctzl(ports));
      for (unsigned queues = std::exchange(kicked_[port], 0); queues != 0; queues &= queues - 1) {
        path_->kick(port, static_cast<std::uint8_t>(__builtin_ctz(queues)));
      }
    }
    more = path_->run(now);
    due = path_->deadline(now);
    path_->take_notifications(owed_);
    path_->take_offences(offences_);
  });
  if (!alive) return true;
  if (!more) arm_timer(due);
  return more;
}

/// What the last pass had to say.
void Plumbing::tell() {
  for (const net::Notification& owed : owed_) {
    if (connections_[owed.port] != nullptr) connections_[owed.port]->notify(owed);
  }
  owed_.clear();
  if (!offences_.empty()) judge(std::exchange(offences_, {}), Accuser::pass);
}

void Plumbing::arm_timer(std::optional<kernel::Nanoseconds> due) {
  if (!due) {
    timer_.cancel();
  } else if (!timer_.armed() || timer_.deadline() != *due) {
    timer_.once(*due);
  }
}

std::optional<net::PortId> Plumbing::join(net::VifSettings settings,
                                          std::span<const net::QueuePages> pages) {
  std::optional<net::PortId> port;
  const bool alive =
      guard([&] { port = path_->add_vif(std::move(settings), pages, kernel::time::now()); });
  return alive ? port : std::nullopt;
}

void Plumbing::leave(net::PortId port) {
  connections_[port] = nullptr;
  (void)guard([&] { path_->remove_vif(port); });
}

void Plumbing::set_rate(net::PortId port, std::optional<net::RateLimit> rate) {
  (void)guard([&] { path_->set_rate(port, rate, kernel::time::now()); });
}

void Plumbing::set_nic(net::Nic* nic) {
  nic_ = nic;
  (void)guard([&] { path_->set_nic(nic); });
}

void Plumbing::expect_wire() {
  wire_expected_ = true;
  (void)guard([&] { path_->expect_wire(); });
}

void Plumbing::give_up_wire() {
  wire_expected_ = false;
  (void)guard([&] { path_->link_changed(net::NicLink{}); });
  wake();
}

}  // namespace ppvmm::netuk

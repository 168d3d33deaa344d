#include "uk/net/plumbing.hpp"

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
      path_(memory_->pool(), copier_, {}),
      records_(kept_records()),
      timer_(kernel::time::timers(), &Plumbing::on_deadline, this),
      component_(kernel::vitals::component("netback")) {}

void Plumbing::wake() {
  pending_ = true;
  work_.announce();
}

void Plumbing::kick(net::PortId port, std::uint8_t queue) {
  path_.kick(port, queue);
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
    const bool more = path_.run(kernel::time::now());
    tell();
    if (watcher_ != nullptr) watcher_(watcher_context_);
    kernel::vitals::progress(component_);
    if (more) {
      pending_ = true;
      // Events that came meanwhile are taken before the next pass.
      co_await kernel::task::Reschedule{};
    } else {
      arm_timer();
    }
  }
}

void Plumbing::tell() {
  for (const net::Notification& owed : path_.take_notifications()) {
    if (connections_[owed.port] != nullptr) connections_[owed.port]->notify(owed);
  }
  for (const net::Offence& offence : path_.take_offences()) {
    if (listener_ != nullptr && connections_[offence.port] != nullptr) {
      listener_->offended(*connections_[offence.port], offence.reason);
    }
  }
}

void Plumbing::arm_timer() {
  const auto due = path_.deadline(kernel::time::now());
  if (!due) {
    timer_.cancel();
  } else if (!timer_.armed() || timer_.deadline() != *due) {
    timer_.once(*due);
  }
}

}  // namespace ppvmm::netuk

#include "uk/net/plumbing.hpp"

#include "kernel/time.hpp"
#include "uk/net/connection.hpp"

namespace ppvmm::netuk {
namespace {

/// Frame records per buffer: handles of a frame in the shadow and in the driver, and flooded ones.
constexpr std::size_t kRecordsPerBuffer = 1;

}  // namespace

Plumbing::Plumbing(std::size_t buffers)
    : memory_(buffers),
      pool_(memory_.data(), memory_.pages(), buffers * kRecordsPerBuffer),
      copier_(pool_),
      path_(pool_, copier_, {}),
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

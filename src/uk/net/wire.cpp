#include "uk/net/wire.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/console.hpp"
#include "kernel/image.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "net/nic/e1000e/regs.hpp"

namespace ppvmm::netuk {
namespace {

/// So many drivers may die within the window; the next one takes net_uk with it.
constexpr unsigned kDeathsMost = 4;
constexpr kernel::Nanoseconds kDeathsWindowNs = 100 * kernel::time::kMillisecond;
/// Two deaths within this at the same place, or two that hung, are of damaged code.
constexpr kernel::Nanoseconds kSamePlaceNs = 50 * kernel::time::kMillisecond;

using abi::net_uk::Part;
using abi::net_uk::Trouble;
using kernel::Level;
using kernel::log;

constexpr std::uint16_t kIntel = 0x8086;
/// What a damaged driver loses: the object's pointers lie within this.
constexpr std::size_t kDriverBytes = 4096;
constexpr std::uint32_t kCardTag = 0x6E74'0003;      // the card's memory
constexpr std::uint32_t kCardSeenTag = 0x6E74'0004;  // that there is one
/// Looks in a row without progress that make a hang.
constexpr unsigned kSilentLooks = 2;
constexpr kernel::Nanoseconds kRetryFirstNs = 10'000'000;
constexpr kernel::Nanoseconds kRetryMostNs = 2'000'000'000;

}  // namespace

Wire::Wire(Plumbing& plumbing, xenbus::Store& store)
    : plumbing_(&plumbing),
      store_(&store),
      look_(kernel::time::timers(), &Wire::on_look, this),
      component_(kernel::vitals::component("driver")) {}

bool Wire::had_card() {
  return kernel::vitals::survivors().find(abi::SurvivorKind::value, kCardSeenTag).has_value();
}

kernel::task::Task<> Wire::expect() {
  // Not within the condition: there g++ 12 leaves the call unfinished, and nobody goes on.
  const auto backend = co_await store_->read("device/pci/0/backend");
  if (backend) plumbing_->expect_wire();
}

kernel::task::Task<> Wire::open(void (*announce)(void*), void* context) {
  const auto begin = kernel::time::now();
  if (co_await start_card()) {
    const net::NicLink link = card_->nic().link();
    log(Level::info, "wire: ", card_->nic().name(), " after ",
        (kernel::time::now() - begin) / kernel::time::kMicrosecond, " us, link ",
        link.up ? "up" : "down");
  } else if (had_card() && !card_) {
    // It may be writing into our buffers, and we cannot stop it. Only the domain's end can.
    ask_for_a_new_domain("the card of an earlier life cannot be stopped");
  } else if (!card_) {
    plumbing_->give_up_wire();
  }
  announce(context);
}

kernel::task::Task<bool> Wire::start_card() {
  auto connected = co_await pci::Frontend::connect(*store_);
  if (!connected) {
    if (connected.error() != pci::Error::closed) {
      log(Level::error, "wire: no PCI: ", pci::text_of(connected.error()));
    }
    co_return false;
  }
  frontend_ = std::move(*connected);
  const pci::Device* const device = net::device::find_card(frontend_->devices());
  follower_.emplace(kernel::task::scheduler(), frontend_->follow(*this),
                    static_cast<std::uint32_t>(component_));
  if (device == nullptr) {
    log(Level::warning, "wire: no card that we can drive");
    co_return false;
  }
  auto opened = co_await net::device::AssignedNic::open(*frontend_, *device, kCardTag,
                                                        plumbing_->pool(), plumbing_->client());
  if (!opened) {
    log(Level::error, "wire: ", text_of(opened.error()));
    co_return false;
  }
  card_ = std::move(*opened);
  if (!had_card() && !kernel::vitals::survivors().add({.kind = abi::SurvivorKind::value,
                                                       .domid = 0,
                                                       .tag = kCardSeenTag,
                                                       .id = 0,
                                                       .peer = 0,
                                                       .where = 1,
                                                       .sum = 0})) {
    log(Level::error, "wire: the card cannot be kept");
    co_return false;
  }
  if (const auto started = card_->nic().start(); !started) {
    log(Level::error, "wire: ", net::text_of(started.error()));
    card_.reset();
    co_return false;
  }
  card_->nic().set_promiscuous(true);
  card_->on_interrupt(&Wire::on_interrupt, this);
  plumbing_->set_nic(&card_->nic());
  plumbing_->set_watcher(&Wire::on_pass, this);
  // For what guests have sent meanwhile: it waits for the card, and nothing else would say so.
  plumbing_->wake();
  co_return true;
}

void Wire::on_interrupt(void* self) {
  auto& wire = *static_cast<Wire*>(self);
  kernel::vitals::progress(wire.component_);
  if (wire.card_->nic().on_interrupt()) wire.plumbing_->wake();
}

void Wire::on_pass(void* self) {
  auto& wire = *static_cast<Wire*>(self);
  if (wire.card_->nic().dead()) {
    const bool hung = kernel::last_contained_fault().kind == abi::FaultKind::hang;
    wire.repair(hung ? Trouble::stuck : Trouble::died,
                hung ? "the driver hung" : "the driver died");
    return;
  }
  // Only a driver that has something in its hands needs to be looked at.
  if (wire.plumbing_->path().shadow().held() > 0 && !wire.look_.armed()) {
    wire.look_.once(kernel::time::now() + kLookNs);
  }
}

void Wire::on_look(void* self) {
  static_cast<Wire*>(self)->look();
}

void Wire::look() {
  const std::size_t held = plumbing_->path().shadow().held();
  kernel::vitals::waiting(component_, held);
  if (held == 0) {
    before_.reset();
    silent_looks_ = 0;
    stuck_in_a_row_ = 0;
    return;
  }
  look_.once(kernel::time::now() + kLookNs);
  const net::NicHealth now = card_->nic().health();
  if (!now.present) {
    repair(Trouble::absent, "the device does not answer");
    return;
  }
  if (now.device_error) {
    repair(Trouble::device, "the device reported an error");
    return;
  }
  silent_looks_ = before_ && now.stuck_since(*before_) ? silent_looks_ + 1 : 0;
  before_ = now;
  if (silent_looks_ >= kSilentLooks) {
    // A restart that did not help: it need not be the device that is stuck.
    if (++stuck_in_a_row_ > 1) kernel::image::must_be_whole("damaged code held the driver up");
    repair(Trouble::stuck, "no frame was sent for too long");
    return;
  }
  // An interrupt may have been lost.
  if (now.sent == 0 || silent_looks_ > 0) plumbing_->wake();
}

bool Wire::restart_driver() {
  if (!card_) return false;
  repair(Trouble::ordered, "root asks for it");
  return true;
}

void Wire::repair(Trouble trouble, std::string_view why) {
  const auto begin = kernel::time::now();
  if (coarse() && trouble != Trouble::ordered) kernel::panic(why);
  if (card_->nic().dead() && dies_too_often(begin)) {
    // Only root can put code back: it does so when it enters the image again.
    kernel::panic("drivers die one after the other: their code is damaged");
  }
  const std::size_t held = plumbing_->path().shadow().held();
  plumbing_->set_nic(nullptr);
  before_.reset();
  silent_looks_ = 0;
  ++repairs_;
  if (!restart()) {
    if (card_->nic().dead()) kernel::panic("a new driver dies at its start: its code is damaged");
    retry_ns_ = std::clamp(retry_ns_ * 2, kRetryFirstNs, kRetryMostNs);
    log(Level::error, "wire: ", why, "; the driver cannot be restarted, again in ",
        retry_ns_ / kernel::time::kMillisecond, " ms, ", held, " frames held");
    tell_down(Part::driver, trouble, held);
    look_.once(begin + retry_ns_);
    return;
  }
  retry_ns_ = 0;
  card_->nic().set_promiscuous(true);
  plumbing_->set_nic(&card_->nic());
  plumbing_->wake();
  tell_repaired(Part::driver, trouble, kernel::time::now() - begin);
  log(Level::warning, "wire: ", why, "; driver restarted in ",
      (kernel::time::now() - begin) / kernel::time::kMicrosecond, " us, ", held,
      " frames held, link changes ", card_->nic().statistics().link_changes);
}

bool Wire::dies_too_often(kernel::Nanoseconds now) {
  if (now - deaths_since_ > kDeathsWindowNs) {
    deaths_since_ = now;
    deaths_ = 0;
  }
  const kernel::ContainedFault before = std::exchange(last_death_, kernel::last_contained_fault());
  if (last_death_.time_ns - before.time_ns < kSamePlaceNs && before.kind == last_death_.kind &&
      (before.kind == abi::FaultKind::hang || before.rip == last_death_.rip)) {
    return true;
  }
  return ++deaths_ > kDeathsMost;
}

bool Wire::restart() {
  std::vector<net::Frame> unsent;  // the shadow has them as well
  if (card_->nic().restart(unsent)) return true;
  unsent.clear();
  return card_->replace_driver() && card_->nic().start();
}

void Wire::damage_driver() {
  if (card_) std::memset(card_->nic().driver_memory(), 0xA5, kDriverBytes);
}

void Wire::stick_transmitter() {
  namespace e = net::nic::e1000e;
  if (!card_ || card_->device().vendor != kIntel) return;
  card_->registers(0).write32(static_cast<std::size_t>(e::Reg::tctl), e::tctl::kPadShort);
}

pci::Recovery Wire::error(const pci::Notice&) {
  repair(Trouble::device, "PCI Express reported an error");
  return pci::Recovery::recovered;
}

void Wire::removed(const pci::Device&) {
  log(Level::warning, "wire: the card is taken away");
  look_.cancel();
  plumbing_->set_nic(nullptr);
  std::vector<net::Frame> unsent;
  if (card_) (void)card_->nic().stop(unsent);
}

void Wire::added(const pci::Device&) {
  log(Level::warning, "wire: a card came; it is used after the next rebirth");
}

}  // namespace ppvmm::netuk

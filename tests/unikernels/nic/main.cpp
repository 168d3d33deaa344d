/// An image that drives an assigned network card and nothing else: it answers ARP, ping and UDP
/// echo, and does what it is told through XenStore, so that scenarios can show the driver at work
/// on real Xen.
///
/// Command line: ip=A.B.C.D (its address).
/// Orders, written by dom0 to its data/order:
///   flood=N       sends N numbered datagrams to port 9000 of whoever asked for us by ARP last
///   stick         stops the transmitter behind the driver's back
///   restart       restarts the driver
///   replace       throws the driver away as if it had died, and makes a new one
///   damage        overwrites the driver's own memory
///   statistics    logs what the driver counted
#include <charconv>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"
#include "net/device/assigned_nic.hpp"
#include "net/device/pool.hpp"
#include "net/nic/e1000e/regs.hpp"
#include "responder.hpp"
#include "xenbus/store.hpp"

namespace {

using namespace ppvmm;
using kernel::Level;
using kernel::log;

constexpr std::uint32_t kPoolTag = 0x6E69'0001;
constexpr std::uint32_t kCardTag = 0x6E69'0002;
constexpr std::size_t kBuffers = 1024;
constexpr std::size_t kBudget = 64;

std::optional<test::Ipv4> parse_address(std::string_view text) {
  test::Ipv4 address{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, address[i]);
    if (error != std::errc{}) return std::nullopt;
    at = next;
  }
  return at == end ? std::optional(address) : std::nullopt;
}

class Host final : public net::NicClient, public pci::Frontend::Listener {
 public:
  Host(const kernel::Start& start, test::Ipv4 address)
      : reborn_(start.reborn), address_(address), store_(start) {}

  kernel::task::Task<> serve();

 private:
  // net::NicClient
  void received(net::Frame frame) override;
  void sent(net::Frame) override {
    kernel::vitals::progress(component_);
    if (!given_.empty()) given_.pop_front();
  }
  void room() override { push(); }
  void link_changed(net::NicLink link) override {
    log(Level::info, "nic: link ", link.up ? "up" : "down", " ", link.speed_mbps, " Mbit/s");
  }
  // pci::Frontend::Listener
  pci::Recovery error(const pci::Notice&) override {
    log(Level::error, "nic: PCI Express error");
    return pci::Recovery::need_reset;
  }
  void removed(const pci::Device&) override;
  void added(const pci::Device&) override {
    log(Level::info, "nic: card added");
    bring_up_ = true;
    wake_.announce();
  }

  static void on_interrupt(void* self);
  kernel::task::Task<bool> bring_up();
  kernel::task::Task<> obey();
  kernel::task::Task<> watch_over();
  kernel::task::Task<> flood();
  void work();
  void push();
  void restart(bool with_new_driver);
  std::expected<void, net::NicError> replace();
  void send(net::Frame frame) {
    held_.push_back(std::move(frame));
    push();
  }

  bool reborn_;
  test::Ipv4 address_;
  xenbus::Store store_;
  std::unique_ptr<net::device::DevicePool> memory_;
  std::unique_ptr<pci::Frontend> frontend_;
  std::unique_ptr<net::device::AssignedNic> card_;
  std::optional<test::Responder> responder_;
  std::deque<net::Frame> held_;   ///< To be sent, and not yet taken by the driver.
  std::deque<net::Frame> given_;  ///< Shares of what the driver has, in order: for replace.
  std::uint64_t flood_left_{};
  std::uint64_t flood_next_{};
  bool bring_up_{};
  bool poll_again_{};
  kernel::task::Signal wake_;
  std::optional<kernel::task::TaskRoot> tasks_[4];
  kernel::vitals::Component component_{kernel::vitals::component("nic")};
};

void Host::received(net::Frame frame) {
  kernel::vitals::progress(component_);
  if (responder_->answer(frame)) send(std::move(frame));
}

/// The device still answers: it is quieted before its memory goes.
void Host::removed(const pci::Device&) {
  std::vector<net::Frame> unsent;
  if (card_) (void)card_->nic().stop(unsent);
  card_.reset();
  given_.clear();
  held_.clear();
  log(Level::warning, "nic: card removed, ", memory_->pool().statistics().free_buffers,
      " buffers free");
}

void Host::push() {
  if (!card_) return;
  while (!held_.empty()) {
    net::Frame copy = held_.front().share();
    const auto result = card_->nic().transmit(std::move(copy));
    if (result == net::TransmitResult::full) break;
    if (result == net::TransmitResult::accepted) given_.push_back(std::move(held_.front()));
    held_.pop_front();
  }
  card_->nic().flush();
}

void Host::on_interrupt(void* self) {
  auto& host = *static_cast<Host*>(self);
  if (host.card_ && host.card_->nic().on_interrupt()) host.wake_.announce();
}

/// One round of the driver's work; asks for another if the budget was used up.
void Host::work() {
  poll_again_ = card_ != nullptr && card_->nic().poll(kBudget) == kBudget;
}

std::expected<void, net::NicError> Host::replace() {
  const auto made = card_->replace_driver();
  if (!made) return made;
  return card_->nic().start();
}

void Host::restart(bool with_new_driver) {
  const auto begin = kernel::time::now();
  std::vector<net::Frame> unsent;
  const auto done = with_new_driver ? replace() : card_->nic().restart(unsent);
  if (!done) {
    log(Level::error, "nic: restart failed: ", net::text_of(done.error()));
    return;
  }
  const std::size_t again = given_.size();
  while (!given_.empty()) {
    held_.push_front(std::move(given_.back()));
    given_.pop_back();
  }
  unsent.clear();
  push();
  work();
  const auto took = kernel::time::now() - begin;
  log(Level::info, "nic: ", with_new_driver ? "replaced" : "restarted", " in ", took / 1000,
      " us, ", again, " frames sent again, link changes ", card_->nic().statistics().link_changes);
  wake_.announce();
}

kernel::task::Task<> Host::watch_over() {
  std::optional<net::NicHealth> before;
  for (;;) {
    co_await kernel::task::Sleep(kernel::time::timers(),
                                 kernel::time::now() + 10 * kernel::time::kMillisecond);
    if (!card_) {
      before.reset();
      continue;
    }
    const net::NicHealth now = card_->nic().health();
    const bool stuck = before && now.stuck_since(*before);
    before = now;
    if (!stuck && !now.device_error) continue;
    if (stuck) {
      log(Level::warning, "nic: stuck, ", now.accepted - now.sent, " frames wait");
    } else {
      log(Level::warning, "nic: device or driver in error, driver deaths ", card_->nic().deaths(),
          ", buffers free ", memory_->pool().statistics().free_buffers);
    }
    restart(false);
    before.reset();
  }
}

kernel::task::Task<> Host::flood() {
  for (;;) {
    while (flood_left_ == 0)
      co_await wake_.wait();
    for (int i = 0; i < 16 && flood_left_ > 0 && held_.size() < 64; ++i) {
      net::Frame one = responder_->datagram(memory_->pool(), 9000, flood_next_, 1000);
      if (!one) break;
      ++flood_next_;
      --flood_left_;
      send(std::move(one));
    }
    if (flood_left_ == 0) log(Level::info, "nic: flood handed over");
    co_await kernel::task::Sleep(kernel::time::timers(),
                                 kernel::time::now() + 2 * kernel::time::kMillisecond);
  }
}

kernel::task::Task<> Host::obey() {
  const auto made = co_await store_.write("data/order", "");
  if (!made) log(Level::error, "nic: no orders: ", xenbus::text_of(made.error()));
  xenbus::Watch watch(store_, "data/order");
  for (;;) {
    const auto changed = co_await watch.next();
    if (!changed) co_return;
    const auto order = co_await store_.read("data/order");
    if (!order || order->empty() || !card_) continue;
    log(Level::info, "nic: order: ", std::string_view(*order));
    if (const auto count = kernel::find_number(*order, "flood")) {
      flood_next_ = 0;
      flood_left_ = *count;
      wake_.announce();
    } else if (*order == "stick") {
      namespace e = net::nic::e1000e;
      card_->registers(0).write32(static_cast<std::size_t>(e::Reg::tctl), e::tctl::kPadShort);
    } else if (*order == "restart" || *order == "replace") {
      restart(*order == "replace");
    } else if (*order == "damage") {
      // Every pointer in the driver's object becomes one that leads nowhere.
      std::memset(card_->nic().driver_memory(), 0xA5, 4096);
      log(Level::info, "nic: driver damaged");
    } else if (*order == "statistics") {
      const net::NicStatistics s = card_->nic().statistics();
      log(Level::info, "nic: statistics rx ", s.rx_packets, " tx ", s.tx_packets, " errors ",
          s.rx_errors + s.rx_malformed, " missed ", s.rx_missed, " full ", s.tx_full,
          " interrupts ", s.interrupts, " link_changes ", s.link_changes, " restarts ", s.restarts);
    }
  }
}

kernel::task::Task<bool> Host::bring_up() {
  const pci::Device* const device = net::device::find_card(frontend_->devices());
  if (device == nullptr) {
    log(Level::error, "nic: no card that we can drive");
    co_return false;
  }
  log(Level::info, "nic: card ", kernel::Hex{device->vendor}, ":", kernel::Hex{device->device},
      frontend_->adopted() ? ", adopted" : ", fresh");
  auto opened = co_await net::device::AssignedNic::open(*frontend_, *device, kCardTag,
                                                        memory_->pool(), *this);
  if (!opened) {
    log(Level::error, "nic: ", text_of(opened.error()));
    co_return false;
  }
  card_ = std::move(*opened);
  const auto started = card_->nic().start();
  if (!started) {
    log(Level::error, "nic: ", net::text_of(started.error()));
    co_return false;
  }
  responder_.emplace(card_->nic().mac(), address_);
  card_->on_interrupt(&Host::on_interrupt, this);
  co_return true;
}

kernel::task::Task<> Host::serve() {
  const auto begin = kernel::vitals::page().entry_ns;
  memory_ = net::device::DevicePool::create(kBuffers, kBuffers, kPoolTag);
  if (!memory_) kernel::panic("no memory for the pool");
  auto connected = co_await pci::Frontend::connect(store_);
  if (!connected) {
    log(Level::error, "nic: ", pci::text_of(connected.error()));
    kernel::panic("no PCI front-end");
  }
  frontend_ = std::move(*connected);
  log(Level::info, "nic: front-end after ", (kernel::time::now() - begin) / 1000, " us");
  const bool up = co_await bring_up();
  if (!up) kernel::panic("the card cannot be used");
  const auto mac = card_->nic().mac();
  log(Level::info, "nic: serving after ", (kernel::time::now() - begin) / 1000, " us",
      reborn_ ? ", reborn" : "", ", ", card_->nic().name(), " ", kernel::Hex{mac[0]}, "..",
      kernel::Hex{mac[5]}, ", link ", card_->nic().link().up ? "up" : "down");
  kernel::vitals::ready();

  const auto component = static_cast<std::uint32_t>(component_);
  tasks_[0].emplace(kernel::task::scheduler(), obey(), component);
  tasks_[1].emplace(kernel::task::scheduler(), watch_over(), component);
  tasks_[2].emplace(kernel::task::scheduler(), flood(), component);
  tasks_[3].emplace(kernel::task::scheduler(), frontend_->follow(*this), component);
  for (;;) {
    if (std::exchange(bring_up_, false)) {
      const bool again = co_await bring_up();
      if (again) log(Level::info, "nic: serving again");
    }
    work();
    if (poll_again_) {
      co_await kernel::task::Reschedule{};
    } else {
      co_await wake_.wait();
    }
  }
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  const auto text = kernel::find_option(start.command_line, "ip");
  const auto address = text ? parse_address(*text) : std::nullopt;
  if (!address) kernel::panic("ip=A.B.C.D is missing on the command line");
  static Host host(start, *address);
  const kernel::task::TaskRoot service(kernel::task::scheduler(), host.serve());
  kernel::events::run();
}

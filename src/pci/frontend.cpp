#include "pci/frontend.hpp"

#include <cstring>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/text.hpp"
#include "kernel/time.hpp"
#include "pci/frontend_pages.hpp"

namespace ppvmm::pci {
namespace {

constexpr std::uint32_t kTag = 0x7063'0001;  // "pc"
constexpr std::size_t kPages = 2;

}  // namespace

Frontend::Frontend(xenbus::Store& store, std::string path)
    : store_(&store),
      path_(std::move(path)),
      deadline_(kernel::time::timers(), &Frontend::on_deadline, this) {}

Frontend::~Frontend() {
  if (port_ != 0) kernel::events::handle(port_, nullptr, nullptr);
}

std::span<const Device> Frontend::devices() const {
  const Kept& kept = kept_of(pages_);
  return {kept.devices.data(), kept.count};
}

bool Frontend::in_use(Address address) const {
  const std::size_t slot = at(address, devices());
  return slot < kDevicesMax && kept_of(pages_).interrupts[slot].count > 0;
}

void Frontend::keep() {
  seal(kept_of(pages_));
}

void Frontend::on_event(void* self, std::uint32_t) {
  auto& frontend = *static_cast<Frontend*>(self);
  frontend.answer_notice();
  frontend.changed_.announce();
}

void Frontend::on_deadline(void* self) {
  auto& frontend = *static_cast<Frontend*>(self);
  frontend.late_ = true;
  frontend.changed_.announce();
}

void Frontend::answer_notice() {
  Channel channel = channel_of(pages_);
  const auto notice = channel.notice();
  if (!notice) return;
  channel.answer(listener_ != nullptr ? listener_->error(*notice) : Recovery::none);
  kernel::events::notify(port_);
}

/// Page, grant and port: kept from the first moment on, so that whatever stage a life dies in, the
/// next one publishes the same.
std::expected<void, Error> Frontend::open_channel() {
  pages_ = kernel::memory::survived(kTag);
  if (pages_ == nullptr) {
    pages_ = kernel::memory::take_pages(kPages);
    if (pages_ == nullptr) return std::unexpected(Error::no_memory);
    std::memset(pages_, 0, kPages * kernel::kPage);
    channel_of(pages_).begin();
    if (!kernel::memory::survive(pages_, kTag)) return std::unexpected(Error::no_memory);
  }
  if (const auto grant = kernel::grants::survived_grant(kTag)) {
    grant_ = *grant;
  } else {
    const auto fresh =
        kernel::grants::grant(backend_id_, pages_, kernel::grants::Access::read_write);
    if (!fresh || !kernel::grants::survive(*fresh, kTag)) return std::unexpected(Error::no_memory);
    grant_ = *fresh;
  }
  port_ = kernel::events::survived(kTag);
  if (port_ == 0) {
    const auto fresh = kernel::events::alloc_unbound(backend_id_);
    if (!fresh || !kernel::events::survive(*fresh, kTag, backend_id_, 0)) {
      return std::unexpected(Error::no_memory);
    }
    port_ = *fresh;
  }
  kernel::events::handle(port_, &Frontend::on_event, this);
  return {};
}

kernel::task::Task<std::expected<std::unique_ptr<Frontend>, Error>> Frontend::connect(
    xenbus::Store& store, std::string path) {
  std::unique_ptr<Frontend> frontend(new Frontend(store, std::move(path)));
  if (std::byte* const pages = kernel::memory::survived(kTag);
      pages != nullptr && sound(kept_of(pages)) && kept_of(pages).connected) {
    const Kept& kept = kept_of(pages);
    frontend->backend_id_ = kept.backend_id;
    frontend->backend_.assign(kept.backend.data());
    const auto opened = frontend->open_channel();
    if (!opened) co_return std::unexpected(opened.error());
    frontend->adopted_ = true;
    co_return std::move(frontend);
  }
  const auto done = co_await frontend->handshake();
  if (!done) co_return std::unexpected(done.error());
  co_return std::move(frontend);
}

/// What the back-end needs, and the state that makes it look, in one transaction. Requests that do
/// not depend on each other are under way together: XenStore's answer costs a switch to dom0.
kernel::task::Task<std::expected<void, Error>> Frontend::publish() {
  for (;;) {
    const auto transaction = co_await store_->begin();
    if (!transaction) co_return std::unexpected(Error::store);
    auto ref_call = store_->write_number(path_ + "/pci-op-ref", grant_, *transaction);
    auto port_call = store_->write_number(path_ + "/event-channel", port_, *transaction);
    auto magic_call = store_->write(path_ + "/magic", XEN_PCI_MAGIC, *transaction);
    auto state_call = store_->write_number(
        path_ + "/state", static_cast<std::uint64_t>(xenbus::State::initialised), *transaction);
    const auto ref = co_await ref_call;
    const auto port = co_await port_call;
    const auto magic = co_await magic_call;
    const auto state = co_await state_call;
    if (!ref || !port || !magic || !state) {
      (void)co_await store_->abort(*transaction);
      co_return std::unexpected(Error::store);
    }
    const auto done = co_await store_->commit(*transaction);
    if (done) co_return std::expected<void, Error>{};
    if (done.error() != xenbus::Error::again) co_return std::unexpected(Error::store);
  }
}

kernel::task::Task<std::expected<void, Error>> Frontend::handshake() {
  auto backend_call = store_->read(path_ + "/backend");
  auto backend_id_call = store_->read_number(path_ + "/backend-id");
  auto state_call = store_->read(path_ + "/state");
  const auto backend = co_await backend_call;
  const auto backend_id = co_await backend_id_call;
  const auto state = co_await state_call;
  if (!backend || !backend_id) co_return std::unexpected(Error::closed);
  if (*backend_id >= 0x7FF0 || backend->size() >= Kept{}.backend.size()) {
    co_return std::unexpected(Error::store);
  }
  backend_ = *backend;
  backend_id_ = static_cast<std::uint16_t>(*backend_id);
  const auto opened = open_channel();
  if (!opened) co_return std::unexpected(opened.error());

  const xenbus::State own = co_await xenbus::read_state(*store_, path_);
  if (own != xenbus::State::connected) {
    channel_of(pages_).begin();
    const auto published = co_await publish();
    if (!published) co_return std::unexpected(published.error());
    const auto switched = co_await xenbus::switch_state(*store_, path_, xenbus::State::initialised);
    if (!switched) co_return std::unexpected(Error::store);
  }
  xenbus::StateWatch watch(*store_, backend_);
  for (;;) {
    const xenbus::State theirs = co_await watch.next();
    if (theirs == xenbus::State::connected) break;
    if (theirs == xenbus::State::closing || theirs == xenbus::State::closed) {
      co_return std::unexpected(Error::closed);
    }
  }
  Kept& kept = kept_of(pages_);
  kept = {};
  kept.backend_id = backend_id_;
  std::memcpy(kept.backend.data(), backend_.data(), backend_.size());
  const auto found = co_await find_devices(nullptr);
  if (!found) co_return std::unexpected(found.error());
  const auto switched = co_await xenbus::switch_state(*store_, path_, xenbus::State::connected);
  if (!switched) co_return std::unexpected(Error::store);
  kept.connected = 1;
  keep();
  co_return std::expected<void, Error>{};
}

kernel::task::Task<std::expected<void, Error>> Frontend::find_devices(Listener* listener) {
  const auto count = co_await store_->read_number(backend_ + "/num_devs");
  if (!count) co_return std::unexpected(Error::store);
  Kept& kept = kept_of(pages_);
  for (std::uint64_t i = 0; i < *count && i < 64; ++i) {
    const kernel::Text<32> name("/vdev-", i);
    std::string node = backend_;
    node += name.view();
    const auto place = co_await store_->read(node);
    if (!place) continue;  // taken away before
    const auto address = parse_address(*place);
    if (!address) co_return std::unexpected(Error::store);
    if (at(*address, devices()) < kDevicesMax) continue;  // known
    const auto device = co_await probe(*address);
    if (!device) {
      if (device.error() == Error::no_device) continue;
      co_return std::unexpected(device.error());
    }
    std::size_t slot = 0;
    while (slot < kept.count && kept.devices[slot].vendor != kNoVendor)
      ++slot;
    if (slot == kDevicesMax) {
      kernel::log(kernel::Level::warning, "pci: more than ", kDevicesMax,
                  " devices; the rest is left alone");
      break;
    }
    kept.devices[slot] = *device;
    kept.interrupts[slot] = {};
    if (slot == kept.count) ++kept.count;
    keep();
    if (listener != nullptr) listener->added(kept.devices[slot]);
  }
  co_return std::expected<void, Error>{};
}

kernel::task::Task<void> Frontend::remove_closing(Listener& listener) {
  Kept& kept = kept_of(pages_);
  const auto count = co_await store_->read_number(backend_ + "/num_devs");
  for (std::uint64_t i = 0; count && i < *count && i < 64; ++i) {
    const kernel::Text<32> state_name("/state-", i);
    const kernel::Text<32> place_name("/vdev-", i);
    std::string state_node = backend_;
    state_node += state_name.view();
    std::string place_node = backend_;
    place_node += place_name.view();
    const auto state = co_await store_->read(state_node);
    if (!state || xenbus::state_of(*state) != xenbus::State::closing) continue;
    const auto place = co_await store_->read(place_node);
    const auto address = place ? parse_address(*place) : std::nullopt;
    const std::size_t slot = address ? at(*address, devices()) : kDevicesMax;
    if (slot >= kDevicesMax) continue;
    listener.removed(kept.devices[slot]);
    kept.devices[slot].vendor = kNoVendor;
    keep();
  }
}

kernel::task::Task<> Frontend::follow(Listener& listener) {
  listener_ = &listener;
  for (;;) {
    co_await follow_backend(listener);
    Kept& kept = kept_of(pages_);
    for (std::size_t slot = 0; slot < kept.count; ++slot) {
      if (kept.devices[slot].vendor == kNoVendor) continue;
      listener.removed(kept.devices[slot]);
      kept.devices[slot].vendor = kNoVendor;
    }
    kept.connected = 0;
    keep();
    (void)co_await xenbus::switch_state(*store_, path_, xenbus::State::closed);
    co_await reopen(listener);
  }
}

/// The tool stack takes the whole front-end away with its last device, and makes a new one for the
/// next.
kernel::task::Task<> Frontend::reopen(Listener& listener) {
  xenbus::Watch watch(*store_, path_);
  for (;;) {
    const auto changed = co_await watch.next();
    if (!changed) {
      kernel::log(kernel::Level::error, "pci: XenStore refuses a watch: no more attaching");
      co_await changed_.wait();
      continue;
    }
    const xenbus::State own = co_await xenbus::read_state(*store_, path_);
    if (own != xenbus::State::initialising) continue;
    const auto done = co_await handshake();
    if (done) break;
    kernel::log(kernel::Level::error, "pci: attaching failed: ", text_of(done.error()));
  }
  for (const Device& device : devices()) {
    if (device.vendor != kNoVendor) listener.added(device);
  }
}

/// Until the back-end closes, or goes.
kernel::task::Task<> Frontend::follow_backend(Listener& listener) {
  xenbus::StateWatch watch(*store_, backend_);
  for (;;) {
    const xenbus::State state = co_await watch.next();
    if (state == xenbus::State::reconfiguring) {
      co_await remove_closing(listener);
      (void)co_await xenbus::switch_state(*store_, path_, xenbus::State::reconfiguring);
    } else if (state == xenbus::State::reconfigured) {
      const auto found = co_await find_devices(&listener);
      if (!found) {
        kernel::log(kernel::Level::error, "pci: attaching failed: ", text_of(found.error()));
      }
      (void)co_await xenbus::switch_state(*store_, path_, xenbus::State::connected);
    } else if (state == xenbus::State::closing || state == xenbus::State::closed ||
               state == xenbus::State::unknown) {
      co_return;
    }
  }
}

}  // namespace ppvmm::pci

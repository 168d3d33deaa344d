#include "pci/frontend.hpp"

#include <cstring>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/text.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"
#include "pci/kept.hpp"

namespace ppvmm::pci {
namespace {

constexpr std::uint32_t kTag = 0x7063'0001;  // "pc"
constexpr std::size_t kPages = 2;

Channel channel_of(std::byte* pages) {
  return Channel(*reinterpret_cast<xen_pci_sharedinfo*>(pages));
}

Kept& kept_of(std::byte* pages) {
  return *reinterpret_cast<Kept*>(pages + kernel::kPage);
}

std::uint16_t at(Address address, std::span<const Device> devices) {
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].address == address && devices[i].vendor != kNoVendor) {
      return static_cast<std::uint16_t>(i);
    }
  }
  return kDevicesMax;
}

xen_pci_op operation_on(Address address, std::uint32_t command) {
  xen_pci_op operation{};
  operation.cmd = command;
  operation.domain = address.domain;
  operation.bus = address.bus;
  operation.devfn = address.devfn;
  return operation;
}

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

kernel::task::Task<std::expected<Device, Error>> Frontend::probe(Address address) {
  const auto ids = co_await read(address, reg::kVendor, 4);
  if (!ids) co_return std::unexpected(ids.error());
  if ((*ids & 0xFFFF) == kNoVendor) co_return std::unexpected(Error::no_device);
  const auto revision = co_await read(address, reg::kRevision, 4);
  if (!revision) co_return std::unexpected(revision.error());
  co_return Device{.address = address,
                   .vendor = static_cast<std::uint16_t>(*ids),
                   .device = static_cast<std::uint16_t>(*ids >> 16),
                   .revision = static_cast<std::uint8_t>(*revision),
                   .class_code = *revision >> 8};
}

/// The back-end answers sizing probes itself: the device's own register stays as it is.
kernel::task::Task<std::expected<Bar, Error>> Frontend::probe_bar(Address address,
                                                                  std::size_t number) {
  std::array<std::uint32_t, 2> values{};
  std::array<std::uint32_t, 2> probes{};
  for (std::size_t i = 0; i < 2 && number + i < kBars; ++i) {
    const auto offset = static_cast<std::uint16_t>(reg::kBar0 + 4 * (number + i));
    const auto value = co_await read(address, offset, 4);
    if (!value) co_return std::unexpected(value.error());
    values[i] = *value;
    // What reads zero is not there or not assigned; I/O ports are of no use to us.
    if (i == 0 && (*value == 0 || (*value & 1) != 0)) co_return Bar{};
    const auto asked = co_await write(address, offset, 4, ~0u);
    const auto answer = co_await read(address, offset, 4);
    const auto back = co_await write(address, offset, 4, *value);
    if (!asked || !answer || !back) co_return std::unexpected(Error::failed);
    probes[i] = *answer;
    if ((values[0] >> 1 & 3) != 2) break;  // 32 bits
  }
  co_return decode_bar(values[0], probes[0], values[1], probes[1]);
}

kernel::task::Task<std::expected<Device, Error>> Frontend::learn_bars(Address address,
                                                                      std::uint8_t wanted) {
  Kept& kept = kept_of(pages_);
  const std::size_t slot = at(address, devices());
  if (slot >= kDevicesMax) co_return std::unexpected(Error::no_device);
  for (std::size_t number = 0; number < kBars; ++number) {
    if ((wanted & 1u << number) == 0 || kept.devices[slot].bars[number].bytes != 0) continue;
    const auto bar = co_await probe_bar(address, number);
    if (!bar) co_return std::unexpected(bar.error());
    kept.devices[slot].bars[number] = *bar;
    keep();
  }
  co_return kept.devices[slot];
}

kernel::task::Task<std::expected<Device, Error>> Frontend::learn_vendor_capabilities(
    Address address) {
  Kept& kept = kept_of(pages_);
  const std::size_t slot = at(address, devices());
  if (slot >= kDevicesMax) co_return std::unexpected(Error::no_device);
  Device device = kept.devices[slot];
  device.vendor_capabilities = 0;
  std::uint16_t place = 0;
  while (device.vendor_capabilities < kVendorCapabilitiesMax) {
    const auto found = co_await find_capability(address, capability::kVendor, place);
    if (!found) co_return std::unexpected(found.error());
    // Their order is the device's; a chain that runs in a circle ends with the array.
    if (*found == 0) break;
    place = *found;
    auto& bytes = device.vendor_capability[device.vendor_capabilities++];
    for (std::size_t offset = 0; offset < kVendorCapabilityBytes; offset += 4) {
      const auto word = co_await read(address, static_cast<std::uint16_t>(place + offset), 4);
      if (!word) co_return std::unexpected(word.error());
      for (std::size_t i = 0; i < 4; ++i)
        bytes[offset + i] = static_cast<std::uint8_t>(*word >> 8 * i);
    }
  }
  kept.devices[slot] = device;
  keep();
  co_return device;
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

kernel::task::Task<std::expected<xen_pci_op, Error>> Frontend::operate(xen_pci_op operation) {
  Channel channel = channel_of(pages_);
  while (operating_)
    co_await changed_.wait();
  operating_ = true;
  late_ = false;
  deadline_.once(kernel::time::now() + kAnswerLimit);
  // An operation of an earlier life may still be on the page.
  while (channel.busy() && !late_)
    co_await changed_.wait();
  channel.submit(operation);
  kernel::events::notify(port_);
  late_ = false;
  deadline_.once(kernel::time::now() + kAnswerLimit);
  while (channel.busy() && !late_)
    co_await changed_.wait();
  deadline_.cancel();
  const bool answered = !channel.busy();
  if (!answered) channel.withdraw();
  std::expected<xen_pci_op, Error> result = std::unexpected(Error::timeout);
  if (answered) result = channel.result();
  operating_ = false;
  changed_.announce();
  co_return result;
}

kernel::task::Task<std::expected<std::uint32_t, Error>> Frontend::read(Address address,
                                                                       std::uint16_t offset,
                                                                       std::uint8_t size) {
  xen_pci_op operation = operation_on(address, XEN_PCI_OP_conf_read);
  operation.offset = offset;
  operation.size = size;
  const auto answer = co_await operate(operation);
  if (!answer) co_return std::unexpected(answer.error());
  const std::uint32_t mask = size >= 4 ? ~0u : (1u << 8 * size) - 1;
  co_return answer->value& mask;
}

kernel::task::Task<std::expected<void, Error>> Frontend::write(Address address,
                                                               std::uint16_t offset,
                                                               std::uint8_t size,
                                                               std::uint32_t value) {
  xen_pci_op operation = operation_on(address, XEN_PCI_OP_conf_write);
  operation.offset = offset;
  operation.size = size;
  operation.value = value;
  const auto answer = co_await operate(operation);
  if (!answer) co_return std::unexpected(answer.error());
  co_return std::expected<void, Error>{};
}

kernel::task::Task<std::expected<std::uint16_t, Error>> Frontend::find_capability(
    Address address, std::uint8_t id, std::uint16_t after) {
  const auto status = co_await read(address, reg::kStatus, 2);
  if (!status) co_return std::unexpected(status.error());
  if ((*status & kStatusHasCapabilities) == 0) co_return std::uint16_t{0};
  const std::uint16_t from =
      after == 0 ? reg::kCapabilities : static_cast<std::uint16_t>(after + 1);
  auto next = co_await read(address, from, 1);
  // 6.7: capabilities lie in 0x40..0xFF, on multiples of four: no chain is longer than this.
  for (int steps = 0; steps < 48; ++steps) {
    if (!next) co_return std::unexpected(next.error());
    const auto offset = static_cast<std::uint16_t>(*next & 0xFC);
    if (offset < 0x40) co_return std::uint16_t{0};
    const auto header = co_await read(address, offset, 2);
    if (!header) co_return std::unexpected(header.error());
    if ((*header & 0xFF) == id) co_return offset;
    next = *header >> 8;
  }
  co_return std::uint16_t{0};
}

kernel::task::Task<std::expected<void, Error>> Frontend::enable(Address address, bool master) {
  const auto present = co_await read(address, reg::kCommand, 2);
  if (!present) co_return std::unexpected(present.error());
  std::uint32_t wanted = *present | command::kMemory | command::kNoIntx;
  wanted =
      master ? wanted | command::kMaster : wanted & ~static_cast<std::uint32_t>(command::kMaster);
  if (wanted == *present) co_return std::expected<void, Error>{};
  const auto written = co_await write(address, reg::kCommand, 2, wanted);
  if (!written) co_return std::unexpected(written.error());
  co_return std::expected<void, Error>{};
}

kernel::task::Task<std::expected<Interrupts, Error>> Frontend::enable_interrupts(
    Address address, std::uint32_t wanted) {
  Kept& kept = kept_of(pages_);
  const std::size_t slot = at(address, devices());
  if (slot >= kDevicesMax) co_return std::unexpected(Error::no_device);
  if (kept.interrupts[slot].count > 0) co_return kept.interrupts[slot];
  Interrupts interrupts{};
  if (wanted > 0) {
    wanted = wanted > kVectorsMax ? kVectorsMax : wanted;
    const auto place = co_await find_capability(address, capability::kMsix);
    if (!place) co_return std::unexpected(place.error());
    if (*place != 0) {
      // 6.8.2.3: message control, table size minus one in its low 11 bits.
      const auto control = co_await read(address, static_cast<std::uint16_t>(*place + 2), 2);
      if (!control) co_return std::unexpected(control.error());
      const std::uint32_t size = (*control & 0x7FF) + 1;
      interrupts.msix = true;
      interrupts.count = wanted < size ? wanted : size;
    }
  }
  xen_pci_op operation =
      operation_on(address, interrupts.msix ? XEN_PCI_OP_enable_msix : XEN_PCI_OP_enable_msi);
  if (interrupts.msix) {
    operation.value = interrupts.count;
    for (std::uint32_t i = 0; i < interrupts.count; ++i)
      operation.msix_entries[i] = {.vector = 0xFFFF, .entry = static_cast<std::uint16_t>(i)};
  }
  const auto answer = co_await operate(operation);
  if (!answer) co_return std::unexpected(answer.error());
  if (interrupts.msix) {
    // Xen's public header: after success `value` is 0, and each entry's vector is a PIRQ.
    if (answer->value != 0) co_return std::unexpected(Error::failed);
    for (std::uint32_t i = 0; i < interrupts.count; ++i) {
      interrupts.pirqs[i] = answer->msix_entries[i].vector;
      if (interrupts.pirqs[i] == 0) co_return std::unexpected(Error::failed);
    }
  } else {
    interrupts.count = 1;
    interrupts.pirqs[0] = answer->value;
    if (answer->value == 0) co_return std::unexpected(Error::failed);
  }
  kept.interrupts[slot] = interrupts;
  keep();
  co_return interrupts;
}

kernel::task::Task<std::expected<void, Error>> Frontend::disable_interrupts(Address address) {
  Kept& kept = kept_of(pages_);
  const std::size_t slot = at(address, devices());
  if (slot >= kDevicesMax) co_return std::unexpected(Error::no_device);
  if (kept.interrupts[slot].count == 0) co_return std::expected<void, Error>{};
  const bool msix = kept.interrupts[slot].msix;
  const auto answer = co_await operate(
      operation_on(address, msix ? XEN_PCI_OP_disable_msix : XEN_PCI_OP_disable_msi));
  if (!answer) co_return std::unexpected(answer.error());
  kept.interrupts[slot] = {};
  keep();
  co_return std::expected<void, Error>{};
}

}  // namespace ppvmm::pci

// What the front-end does with devices: operations through the channel, and what is made of them.
#include "kernel/events.hpp"
#include "kernel/time.hpp"
#include "pci/frontend.hpp"
#include "pci/frontend_pages.hpp"

namespace ppvmm::pci {

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

}  // namespace ppvmm::pci

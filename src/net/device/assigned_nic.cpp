#include "net/device/assigned_nic.hpp"

#include "kernel/console.hpp"
#include "kernel/dma.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"

namespace ppvmm::net::device {

std::string_view text_of(AssignedNic::Error error) {
  switch (error) {
    case AssignedNic::Error::no_driver:
      return "no driver for that device";
    case AssignedNic::Error::pci:
      return "the PCI back-end refused";
    case AssignedNic::Error::registers:
      return "its registers cannot be mapped";
    case AssignedNic::Error::no_memory:
      return "no memory";
    case AssignedNic::Error::interrupt:
      return "its interrupt cannot be bound";
    case AssignedNic::Error::driver:
      return "the driver does not take it";
  }
  return "unknown error";
}

const pci::Device* find_card(std::span<const pci::Device> devices) {
  for (const pci::Device& device : devices) {
    if (nic::driver_for(device.vendor, device.device) != nullptr) return &device;
  }
  return nullptr;
}

std::expected<void, AssignedNic::Error> AssignedNic::map_registers() {
  const std::uint8_t wanted = driver_->bars(capabilities_);
  for (std::size_t bar = 0; bar < registers_.size(); ++bar) {
    if ((wanted & 1u << bar) == 0) continue;
    const pci::Bar& place = device_.bars[bar];
    if (place.bytes == 0) return std::unexpected(Error::registers);
    auto mapped = MmioRegisters::map(place.machine, place.bytes);
    if (!mapped) return std::unexpected(Error::registers);
    registers_[bar].emplace(std::move(*mapped));
    resources_.bars[bar] = &*registers_[bar];
  }
  return {};
}

std::expected<void, AssignedNic::Error> AssignedNic::take_memory(std::uint32_t tag) {
  resources_.inherited = kernel::memory::survived(tag) != nullptr;
  std::byte* const memory = kernel::dma::pages(nic::kDriverPages, tag);
  if (memory == nullptr) return std::unexpected(Error::no_memory);
  for (std::size_t i = 0; i < nic::kDriverPages; ++i) {
    std::byte* const page = memory + i * kBufferBytes;
    pages_.push_back({.data = page, .address = kernel::dma::machine_address(page)});
  }
  resources_.pages = pages_;
  return {};
}

/// What the driver needs to know of the device and does not know yet from an earlier life; then the
/// device is switched on.
kernel::task::Task<std::expected<void, pci::Error>> AssignedNic::prepare(pci::Frontend& frontend) {
  const pci::Address address = device_.address;
  if (driver_->capabilities && device_.vendor_capabilities == 0) {
    const auto learned = co_await frontend.learn_vendor_capabilities(address);
    if (!learned) co_return std::unexpected(learned.error());
    device_ = *learned;
  }
  for (std::size_t i = 0; i < device_.vendor_capabilities; ++i)
    capabilities_.push_back({.bytes = device_.vendor_capability[i]});
  const auto learned = co_await frontend.learn_bars(address, driver_->bars(capabilities_));
  if (!learned) co_return std::unexpected(learned.error());
  device_ = *learned;
  if (frontend.in_use(address)) co_return std::expected<void, pci::Error>{};
  co_return co_await frontend.enable(address);
}

kernel::task::Task<std::expected<std::unique_ptr<AssignedNic>, AssignedNic::Error>>
AssignedNic::open(pci::Frontend& frontend, const pci::Device& device, std::uint32_t tag,
                  BufferPool& pool, NicClient& client) {
  const nic::Driver* const driver = nic::driver_for(device.vendor, device.device);
  if (driver == nullptr) co_return std::unexpected(Error::no_driver);
  std::unique_ptr<AssignedNic> self(new AssignedNic(device, *driver));
  const auto prepared = co_await self->prepare(frontend);
  if (!prepared) {
    kernel::log(kernel::Level::error, "nic: ", pci::text_of(prepared.error()));
    co_return std::unexpected(Error::pci);
  }
  const auto mapped = self->map_registers();
  if (!mapped) co_return std::unexpected(mapped.error());
  const auto given = self->take_memory(tag);
  if (!given) co_return std::unexpected(given.error());
  self->resources_.capabilities = self->capabilities_;
  self->resources_.pool = &pool;
  self->resources_.client = &client;
  auto made = ContainedNic::create(*driver, self->resources_, kernel::vitals::component("driver"));
  if (!made) {
    kernel::log(kernel::Level::error, "nic: ", net::text_of(made.error()));
    co_return std::unexpected(Error::driver);
  }
  self->nic_ = std::move(*made);

  const auto interrupts = co_await frontend.enable_interrupts(device.address, driver->vectors);
  if (!interrupts) {
    kernel::log(kernel::Level::error, "nic: interrupts: ", pci::text_of(interrupts.error()));
    co_return std::unexpected(Error::pci);
  }
  self->pirq_ = interrupts->pirqs[0];
  const auto port = kernel::events::bind_pirq(self->pirq_);
  if (!port) co_return std::unexpected(Error::interrupt);
  self->port_ = *port;
  // One that was under way when the last life died is still held back.
  kernel::events::eoi(self->pirq_);
  co_return std::move(self);
}

AssignedNic::~AssignedNic() {
  if (port_ != 0) kernel::events::close(port_);
}

void AssignedNic::on_interrupt(Handler handler, void* context) {
  handler_ = handler;
  context_ = context;
  kernel::events::handle(port_, handler == nullptr ? nullptr : &AssignedNic::on_event, this);
}

void AssignedNic::on_event(void* self, std::uint32_t) {
  auto& card = *static_cast<AssignedNic*>(self);
  card.handler_(card.context_);
  kernel::events::eoi(card.pirq_);
}

}  // namespace ppvmm::net::device

/// A network card that the tool stack assigned to this unikernel, with its driver: registers
/// mapped, memory given, interrupt bound.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "kernel/task.hpp"
#include "net/device/contained_nic.hpp"
#include "net/device/mmio.hpp"
#include "net/nic/drivers.hpp"
#include "pci/frontend.hpp"

namespace ppvmm::net::device {

/// The first card among the devices for which there is a driver; null if there is none.
[[nodiscard]] const pci::Device* find_card(std::span<const pci::Device> devices);

class AssignedNic {
 public:
  enum class Error : std::uint8_t {
    no_driver,
    pci,        ///< The back-end refused something; the log says what.
    registers,  ///< A base address register cannot be mapped.
    no_memory,
    interrupt,  ///< The interrupt cannot be bound.
    driver,     ///< The driver refused; the log says why.
  };

  /// Called from the event loop for each interrupt. It should call Nic::on_interrupt() at once.
  using Handler = void (*)(void* context);

  /// `tag` names the card's memory over microreboots: one for each card. The card's driver is made,
  /// not started: the device is quiet on a first life, and in whatever state it was on a later one.
  /// Without a word to anybody outside if an earlier life had it in use.
  [[nodiscard]] static kernel::task::Task<std::expected<std::unique_ptr<AssignedNic>, Error>> open(
      pci::Frontend& frontend, const pci::Device& device, std::uint32_t tag, BufferPool& pool,
      NicClient& client);
  ~AssignedNic();
  AssignedNic(const AssignedNic&) = delete;
  AssignedNic& operator=(const AssignedNic&) = delete;

  /// The driver, contained: it may die alone (contained_nic.hpp).
  [[nodiscard]] ContainedNic& nic() { return *nic_; }
  [[nodiscard]] const pci::Device& device() const { return device_; }
  /// Sets who is told of interrupts; null: nobody, and they stay pending.
  void on_interrupt(Handler handler, void* context);

  /// Throws the driver away as it is, without running any of its code, and makes a new one over the
  /// same device, not started. What it held comes back to the pool.
  [[nodiscard]] std::expected<void, NicError> replace_driver() { return nic_->replace(); }

  /// The card's registers, for whoever wants to do something to it from outside the driver (tests,
  /// fault drills).
  [[nodiscard]] nic::Registers& registers(std::size_t bar) { return *resources_.bars[bar]; }

 private:
  AssignedNic(const pci::Device& device, const nic::Driver& driver)
      : device_(device), driver_(&driver) {}

  [[nodiscard]] kernel::task::Task<std::expected<void, pci::Error>> prepare(
      pci::Frontend& frontend);
  [[nodiscard]] std::expected<void, Error> map_registers();
  [[nodiscard]] std::expected<void, Error> take_memory(std::uint32_t tag);
  static void on_event(void* self, std::uint32_t port);

  pci::Device device_;
  const nic::Driver* driver_;
  std::array<std::optional<MmioRegisters>, nic::kBlocksMax> registers_;
  std::vector<nic::DmaPage> pages_;
  std::vector<nic::VendorCapability> capabilities_;
  nic::Resources resources_;
  std::unique_ptr<ContainedNic> nic_;
  std::uint32_t pirq_{};
  std::uint32_t port_{};
  Handler handler_{};
  void* context_{};
};

[[nodiscard]] std::string_view text_of(AssignedNic::Error error);

}  // namespace ppvmm::net::device

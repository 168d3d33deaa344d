/// A simulated 82574L, written against the datasheet and not against the driver: it takes
/// descriptors out of memory, moves packets, raises causes, and can misbehave in every way that a
/// broken or hostile device can. Device memory accesses go through an IOMMU: an address that is
/// not registered is a fault, which the tests look at.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "net/nic/e1000e/regs.hpp"
#include "net/nic/registers.hpp"

namespace ppvmm::net::nic::e1000e {

class Sim82574 final : public Registers {
 public:
  Sim82574();

  // --- The bus
  [[nodiscard]] std::size_t size() const override { return kRegisterBytes; }
  [[nodiscard]] std::uint8_t read8(std::size_t) override { return 0xFF; }
  [[nodiscard]] std::uint16_t read16(std::size_t) override { return 0xFFFF; }
  [[nodiscard]] std::uint32_t read32(std::size_t offset) override;
  void write8(std::size_t, std::uint8_t) override {}
  void write16(std::size_t, std::uint16_t) override {}
  void write32(std::size_t offset, std::uint32_t value) override;
  void pause(std::uint32_t microseconds) override { elapsed_us += microseconds; }

  /// Lets the device reach memory: `address` is what it uses, `data` what is there.
  void map(std::uint64_t address, std::byte* data, std::size_t bytes);
  void unmap_all() { memory_.clear(); }

  // --- The wire
  /// A packet arrives. False if it found no descriptor, or the filter does not let it in.
  bool arrive(const std::vector<std::byte>& packet, std::uint8_t extra_status = 0,
              std::uint8_t errors = 0);
  void plug(bool in);

  /// A frame that left, as the descriptors described it.
  struct Sent {
    std::vector<std::byte> bytes;
    std::uint32_t options;  ///< POPTS.
    bool segment;
    std::array<std::uint32_t, 4> context;  ///< The context that was in force.
  };
  std::deque<Sent> sent;

  /// An interrupt is asserted: an enabled cause is pending.
  [[nodiscard]] bool interrupting() const { return (causes_ & mask_) != 0; }

  // --- Misbehaviour
  bool gone{};          ///< Every read gives all ones, nothing is done.
  bool stuck{};         ///< The transmitter takes no descriptor.
  bool never_resets{};  ///< RST stays set.
  bool master_stuck{};  ///< Requests as a bus master never end.
  bool holds_back{};    ///< Sends, but does not write descriptors back.
  void finish();        ///< Does what `stuck` or `holds_back` kept from being done.

  // --- What happened
  std::uint64_t elapsed_us{};
  std::uint64_t faults{};           ///< DMA outside of mapped memory.
  std::uint64_t dma_while_quiet{};  ///< DMA asked for while bus mastering was off.
  std::uint64_t resets{};
  std::uint64_t link_negotiations{};
  std::uint64_t tail_writes{};

  [[nodiscard]] std::uint32_t get(Reg reg) const {
    return regs_[static_cast<std::size_t>(reg) / 4];
  }
  void set(Reg reg, std::uint32_t value) { regs_[static_cast<std::size_t>(reg) / 4] = value; }
  [[nodiscard]] std::byte* at(std::uint64_t address, std::size_t bytes);
  void raise(std::uint32_t causes) { causes_ |= causes; }

 private:
  struct Range {
    std::byte* data;
    std::size_t bytes;
  };

  void reset();
  void transmit();
  void write_back();
  [[nodiscard]] std::uint64_t ring(Reg low, Reg high, Reg length, Reg index);

  std::vector<std::uint32_t> regs_;
  std::map<std::uint64_t, Range> memory_;
  std::uint32_t causes_{};
  std::uint32_t mask_{};
  std::array<std::uint32_t, 4> context_{};
  std::vector<std::byte> assembling_;
  bool link_{true};
  std::vector<std::uint64_t> owed_;  ///< Addresses of descriptors whose write-back is held back.
};

}  // namespace ppvmm::net::nic::e1000e

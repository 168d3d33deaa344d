/// Registers in machine I/O memory, mapped by kernel/io_memory.hpp.
#pragma once

#include "kernel/io_memory.hpp"
#include "net/nic/registers.hpp"

namespace ppvmm::net::device {

class MmioRegisters final : public nic::Registers {
 public:
  /// Maps `bytes` from `machine` on, for as long as the object lives.
  [[nodiscard]] static std::expected<MmioRegisters, kernel::io_memory::Error> map(
      std::uint64_t machine, std::size_t bytes);
  ~MmioRegisters() override;
  MmioRegisters(MmioRegisters&& other) noexcept;
  MmioRegisters& operator=(MmioRegisters&&) = delete;

  [[nodiscard]] std::size_t size() const override { return bytes_; }
  [[nodiscard]] std::uint8_t read8(std::size_t offset) override;
  [[nodiscard]] std::uint16_t read16(std::size_t offset) override;
  [[nodiscard]] std::uint32_t read32(std::size_t offset) override;
  void write8(std::size_t offset, std::uint8_t value) override;
  void write16(std::size_t offset, std::uint16_t value) override;
  void write32(std::size_t offset, std::uint32_t value) override;
  void pause(std::uint32_t microseconds) override;

 private:
  MmioRegisters(volatile std::byte* base, std::size_t bytes) : base_(base), bytes_(bytes) {}

  volatile std::byte* base_;
  std::size_t bytes_;
};

}  // namespace ppvmm::net::device

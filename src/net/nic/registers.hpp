/// How a driver reaches its device: one block of registers (a BAR, or a part of one).
///
/// Behind it is machine memory in a unikernel, and a simulated device in tests, which so drives the
/// very same driver code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ppvmm::net::nic {

class Registers {
 public:
  virtual ~Registers() = default;
  Registers(const Registers&) = delete;
  Registers& operator=(const Registers&) = delete;

  /// Bytes of the block; offsets are below it, aligned to the width of the access. A read of a
  /// device that is gone gives all ones, as PCI Express does (PCIe base spec, 2.3.2).
  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual std::uint8_t read8(std::size_t offset) = 0;
  [[nodiscard]] virtual std::uint16_t read16(std::size_t offset) = 0;
  [[nodiscard]] virtual std::uint32_t read32(std::size_t offset) = 0;
  virtual void write8(std::size_t offset, std::uint8_t value) = 0;
  virtual void write16(std::size_t offset, std::uint16_t value) = 0;
  virtual void write32(std::size_t offset, std::uint32_t value) = 0;
  /// Lets time pass for the device: for the few waits of microseconds that a reset needs.
  virtual void pause(std::uint32_t microseconds) = 0;

 protected:
  Registers() = default;
};

}  // namespace ppvmm::net::nic

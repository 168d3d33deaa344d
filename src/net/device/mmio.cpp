#include "net/device/mmio.hpp"

#include <utility>

#include "kernel/time.hpp"

namespace ppvmm::net::device {
namespace {

template <typename Word>
volatile Word* word(volatile std::byte* base, std::size_t offset) {
  return reinterpret_cast<volatile Word*>(base + offset);
}

}  // namespace

std::expected<MmioRegisters, kernel::io_memory::Error> MmioRegisters::map(std::uint64_t machine,
                                                                          std::size_t bytes) {
  const auto base = kernel::io_memory::map(machine, bytes);
  if (!base) return std::unexpected(base.error());
  return MmioRegisters(*base, bytes);
}

MmioRegisters::MmioRegisters(MmioRegisters&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MmioRegisters::~MmioRegisters() {
  if (base_ != nullptr) kernel::io_memory::unmap(base_, bytes_);
}

// Offsets come from drivers and from what devices say about themselves; one that lies outside must
// not become a stray access. What it reads is what an absent device gives.

std::uint8_t MmioRegisters::read8(std::size_t offset) {
  return offset < bytes_ ? *word<std::uint8_t>(base_, offset) : std::uint8_t{0xFF};
}
std::uint16_t MmioRegisters::read16(std::size_t offset) {
  return offset + 2 <= bytes_ ? *word<std::uint16_t>(base_, offset) : std::uint16_t{0xFFFF};
}
std::uint32_t MmioRegisters::read32(std::size_t offset) {
  return offset + 4 <= bytes_ ? *word<std::uint32_t>(base_, offset) : 0xFFFFFFFF;
}
void MmioRegisters::write8(std::size_t offset, std::uint8_t value) {
  if (offset < bytes_) *word<std::uint8_t>(base_, offset) = value;
}
void MmioRegisters::write16(std::size_t offset, std::uint16_t value) {
  if (offset + 2 <= bytes_) *word<std::uint16_t>(base_, offset) = value;
}
void MmioRegisters::write32(std::size_t offset, std::uint32_t value) {
  if (offset + 4 <= bytes_) *word<std::uint32_t>(base_, offset) = value;
}

void MmioRegisters::pause(std::uint32_t microseconds) {
  const auto end = kernel::time::now() + microseconds * kernel::time::kMicrosecond;
  while (kernel::time::now() < end)
    __builtin_ia32_pause();
}

}  // namespace ppvmm::net::device

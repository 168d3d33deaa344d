#include "root/pci_quiet.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace ppvmm::root {
namespace {

// PCI Local Bus Specification 3.0, 6.2: configuration header.
constexpr off_t kVendorAt = 0x00;
constexpr off_t kCommandAt = 0x04;
constexpr std::uint16_t kMemory = 1U << 1U;
constexpr std::uint16_t kMaster = 1U << 2U;
constexpr std::uint16_t kNoInterruptLine = 1U << 10U;

/// A 32-bit register of the first memory range that ends a device's interrupts when it is written.
struct Silencer {
  std::uint32_t identity;  ///< Vendor in the lower half, device in the upper.
  std::size_t offset;
  std::uint32_t value;
};
constexpr std::array<Silencer, 1> kSilencers{{
    // 82574L datasheet, 10.2.4.6: Interrupt Mask Clear.
    {.identity = 0x10D3'8086, .offset = 0xD8, .value = 0xFFFF'FFFF},
}};

class File {
 public:
  File(const std::string& path, int flags) : descriptor_(open(path.c_str(), flags | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] bool good() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string sysfs_of(const PciAddress& address, const char* file) {
  return fmt::format("/sys/bus/pci/devices/{}/{}", address.text(), file);
}

Result<void> write_register(const PciAddress& address, std::size_t offset, std::uint32_t value) {
  const File registers(sysfs_of(address, "resource0"), O_RDWR | O_SYNC);
  if (!registers.good()) return failed("open the registers of " + address.text());
  void* const page =
      mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, registers.descriptor(), 0);
  if (page == MAP_FAILED) return failed("map the registers of " + address.text());
  auto* const words = static_cast<volatile std::uint32_t*>(page);
  words[offset / sizeof(std::uint32_t)] = value;
  static_cast<void>(words[offset / sizeof(std::uint32_t)]);  // it has arrived when it was read
  munmap(page, kPageSize);
  return {};
}

bool is_known(const PciAddress& address) {
  const File config(sysfs_of(address, "config"), O_RDONLY);
  std::uint32_t identity = 0;
  return config.good() &&
         pread(config.descriptor(), &identity, sizeof identity, kVendorAt) == sizeof identity &&
         std::ranges::find(kSilencers, identity, &Silencer::identity) != kSilencers.end();
}

/// Linux, Documentation/ABI/testing/sysfs-bus-pci: how the kernel may reset a device; an empty line
/// is none of its ways. A device that knows no reset has no such file, and needs nothing.
void set_reset_method(const PciAddress& address, const char* line) {
  const File methods(sysfs_of(address, "reset_method"), O_WRONLY);
  if (!methods.good()) return;
  // Where it cannot be told, the kernel resets as it always does, which only takes longer.
  static_cast<void>(!write(methods.descriptor(), line, std::strlen(line)));
}

}  // namespace

void WithoutReset::add(const PciAddress& address) {
  if (!is_known(address)) return;
  set_reset_method(address, "\n");
  devices_.push_back(address);
}

WithoutReset::~WithoutReset() {
  for (const PciAddress& address : devices_)
    set_reset_method(address, "default\n");
}

Result<void> quiet_pci(const PciAddress& address) {
  const File config(sysfs_of(address, "config"), O_RDWR);
  std::uint32_t identity = 0;
  std::uint16_t command = 0;
  if (!config.good() ||
      pread(config.descriptor(), &identity, sizeof identity, kVendorAt) != sizeof identity ||
      pread(config.descriptor(), &command, sizeof command, kCommandAt) != sizeof command) {
    return failed("read the configuration of " + address.text());
  }
  const auto* const known = std::ranges::find(kSilencers, identity, &Silencer::identity);
  if (known != kSilencers.end() && (command & kMemory) != 0) {
    if (auto done = write_register(address, known->offset, known->value); !done) return done;
  }
  const auto quiet = static_cast<std::uint16_t>((command & ~kMaster) | kNoInterruptLine);
  if (pwrite(config.descriptor(), &quiet, sizeof quiet, kCommandAt) != sizeof quiet) {
    return failed("switch off " + address.text());
  }
  return {};
}

}  // namespace ppvmm::root

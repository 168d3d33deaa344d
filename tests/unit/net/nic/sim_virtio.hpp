/// A simulated virtio network card behind the modern PCI transport, written against the
/// specification, with the ways in which a hostile one can misbehave.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "net/nic/drivers.hpp"
#include "net/nic/virtio/regs.hpp"

namespace ppvmm::net::nic::virtio {

class SimVirtio final : public Registers {
 public:
  static constexpr std::size_t kCommonAt = 0x0000;
  static constexpr std::size_t kDeviceAt = 0x2000;
  static constexpr std::size_t kNotifyAt = 0x3000;
  static constexpr std::uint32_t kMultiplier = 4;

  [[nodiscard]] std::size_t size() const override { return 0x4000; }
  [[nodiscard]] std::uint8_t read8(std::size_t offset) override;
  [[nodiscard]] std::uint16_t read16(std::size_t offset) override;
  [[nodiscard]] std::uint32_t read32(std::size_t offset) override;
  void write8(std::size_t offset, std::uint8_t value) override;
  void write16(std::size_t offset, std::uint16_t value) override;
  void write32(std::size_t offset, std::uint32_t value) override;
  void pause(std::uint32_t microseconds) override { elapsed_us += microseconds; }

  /// As they would lie in configuration space, for base address register 4.
  [[nodiscard]] static std::vector<VendorCapability> capabilities();

  void map(std::uint64_t address, std::byte* data, std::size_t bytes) {
    memory_[address] = {data, bytes};
  }
  void unmap_all() { memory_.clear(); }

  /// A packet arrives, over as many buffers as it needs. False without enough of them.
  bool arrive(const std::vector<std::byte>& packet, PacketHeader header = {});
  void plug(bool in) {
    link = in;
    interrupt = true;
  }

  struct Sent {
    PacketHeader header;
    std::vector<std::byte> bytes;
  };
  std::deque<Sent> sent;
  std::vector<std::array<std::uint8_t, 3>> commands;

  // Misbehaviour.
  std::uint64_t features{feature::kWanted};
  bool gone{};
  bool stuck{};  ///< Takes nothing from the transmit queue.
  bool never_resets{};
  bool refuses_features{};
  bool backwards{};  ///< Uses what it sent in the opposite order.
  bool link{true};
  std::array<std::uint8_t, 6> mac{0x52, 0x54, 0, 1, 2, 3};

  bool interrupt{};
  std::uint64_t elapsed_us{};
  std::uint64_t faults{};
  std::uint64_t resets{};
  std::uint8_t status{};
  /// Sends what `stuck` kept back.
  void finish() {
    stuck = false;
    transmit();
  }
  /// Writes an entry of a used ring, true or not, and raises the index by `step`.
  void use(std::uint16_t queue, std::uint32_t id, std::uint32_t length, std::uint16_t step = 1);
  [[nodiscard]] std::byte* at(std::uint64_t address, std::size_t bytes);

 private:
  struct Ring {
    std::uint16_t size{kQueueEntriesMax};
    bool enabled{};
    std::uint64_t descriptors{};
    std::uint64_t available{};
    std::uint64_t used{};
    std::uint16_t seen{};
    std::uint16_t put{};
  };
  struct Range {
    std::byte* data;
    std::size_t bytes;
  };
  [[nodiscard]] std::optional<std::uint16_t> next(Ring& ring);
  [[nodiscard]] std::vector<Descriptor> chain(const Ring& ring, std::uint16_t head);
  void transmit();
  void control();
  void reset();

  std::map<std::uint64_t, Range> memory_;
  std::array<Ring, 3> rings_{};
  std::uint16_t selected_{};
  std::uint32_t feature_half_{};
  std::uint32_t driver_half_{};
  std::uint64_t agreed_{};
};

}  // namespace ppvmm::net::nic::virtio

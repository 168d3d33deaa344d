/// Where stations are: an Ethernet switch's table of learned and of configured addresses.
///
/// A vif's own address is *pinned* to its port: no other port can learn it, so no guest can pull
/// another's traffic to itself. Learned addresses age. A port may occupy only so many entries: one
/// that invents addresses fills its own share, and the others' entries stay. Pure; no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "net/nic/nic.hpp"

namespace ppvmm::net {

/// 0 is the wire, the rest are vifs.
using PortId = std::uint8_t;
inline constexpr PortId kWire = 0;
inline constexpr std::size_t kPortsMax = 64;

class AddressTable {
 public:
  static constexpr std::size_t kEntries = 1024;  ///< In sets of kWays.
  static constexpr std::size_t kWays = 8;
  static constexpr std::uint32_t kVifShare = 64;            ///< Learned entries of one vif.
  static constexpr std::uint32_t kWireShare = 768;          ///< And of the wire.
  static constexpr std::uint64_t kAgeNs = 300'000'000'000;  ///< IEEE 802.1Q, 8.8.3.

  struct Statistics {
    std::uint64_t learned{};
    std::uint64_t moved{};           ///< Seen on another port than before.
    std::uint64_t refused_pinned{};  ///< Somebody used an address that is pinned elsewhere.
    std::uint64_t refused_full{};    ///< No room in the set, or the port's share is used up.
  };

  AddressTable();

  /// Gives the address to the port for good, until the port is removed. False if it is another's,
  /// or no station's address.
  [[nodiscard]] bool pin(const MacAddress& address, PortId port);
  /// A frame from `address` came in on `port`. False if the address is pinned to another port: the
  /// frame is a lie.
  [[nodiscard]] bool learn(const MacAddress& address, PortId port, std::uint64_t now_ns);
  /// The port behind which the address is, if known and not too old.
  [[nodiscard]] std::optional<PortId> find(const MacAddress& address, std::uint64_t now_ns) const;
  /// Forgets all that the port has.
  void remove(PortId port);
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] std::uint32_t entries_of(PortId port) const { return used_[port]; }

 private:
  struct Entry {
    std::uint64_t key{};  ///< The address as a number; 0: free.
    std::uint64_t seen_ns{};
    PortId port{};
    bool pinned{};
  };

  [[nodiscard]] std::size_t set_of(std::uint64_t key) const;
  [[nodiscard]] Entry* entry_of(std::uint64_t key);
  [[nodiscard]] Entry* room_in_set(std::uint64_t key, std::uint64_t now_ns);
  void drop(Entry& entry);

  std::array<Entry, kEntries> entries_{};
  std::array<std::uint32_t, kPortsMax> used_{};
  Statistics statistics_;
};

[[nodiscard]] constexpr bool is_group(const MacAddress& address) {
  return (address[0] & 1) != 0;
}

}  // namespace ppvmm::net

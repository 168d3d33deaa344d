/// The learning Ethernet switch between the wire and the vifs: decides where a frame goes.
///
/// Flooded: groups, and stations that nobody has heard of. Never forwarded: addresses that IEEE
/// 802.1Q keeps for the link itself (table 8-1). With the anti-spoofing option a vif may send only
/// from its own address, and, when IP addresses are configured, only as one of them. Pure.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "net/switch/packet_headers.hpp"
#include "net/switch/table.hpp"

namespace ppvmm::net {

/// What a port is allowed.
struct PortRules {
  MacAddress address{};             ///< Its own; all zero for the wire.
  bool only_own{};                  ///< Anti-spoofing.
  std::vector<std::uint32_t> ipv4;  ///< With `only_own`: addresses it may use; none: any.
};

enum class Verdict : std::uint8_t {
  unicast,
  flood,
  local,    ///< Kept on its link: dropped.
  same,     ///< The receiver is where it came from: dropped.
  spoofed,  ///< Not its address: dropped.
  runt,     ///< No Ethernet frame.
};

struct Decision {
  Verdict verdict{Verdict::runt};
  PortId port{};  ///< With `unicast`.
};

class Switch {
 public:
  struct Statistics {
    std::uint64_t unicast{};
    std::uint64_t flooded{};
    std::uint64_t dropped_local{};
    std::uint64_t dropped_same{};
    std::uint64_t dropped_spoofed{};
    std::uint64_t dropped_runt{};
  };

  /// False if the port is taken, or its address belongs to another.
  [[nodiscard]] bool add_port(PortId port, PortRules rules);
  void remove_port(PortId port);
  [[nodiscard]] const std::bitset<kPortsMax>& ports() const { return ports_; }

  /// `bytes`: the beginning of a frame that came in on `port`, as far as parse_headers() wants it.
  [[nodiscard]] Decision decide(std::span<const std::byte> bytes, PortId port,
                                std::uint64_t now_ns);

  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] const AddressTable& table() const { return table_; }

 private:
  [[nodiscard]] bool truthful(std::span<const std::byte> bytes, const PortRules& rules) const;
  [[nodiscard]] Decision judge(std::span<const std::byte> bytes, PortId port, std::uint64_t now_ns);

  AddressTable table_;
  std::bitset<kPortsMax> ports_;
  std::array<PortRules, kPortsMax> rules_;
  Statistics statistics_;
};

/// "00:16:3e:01:02:03".
[[nodiscard]] std::optional<MacAddress> parse_mac(std::string_view text);
/// Dotted addresses separated by spaces, as xl's `ip=` passes them on; others are left out.
[[nodiscard]] std::vector<std::uint32_t> parse_ipv4_list(std::string_view text);

}  // namespace ppvmm::net

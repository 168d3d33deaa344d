#include "net/switch/switch.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ppvmm::net {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kIpv4SourceAt = 12;
constexpr std::size_t kArpSenderMacAt = 8;
constexpr std::size_t kArpSenderIpAt = 14;
constexpr std::size_t kArpBytes = 28;

MacAddress address_at(std::span<const std::byte> bytes, std::size_t at) {
  MacAddress address;
  for (std::size_t i = 0; i < address.size(); ++i)
    address[i] = std::to_integer<std::uint8_t>(bytes[at + i]);
  return address;
}

/// 01:80:C2:00:00:00 to 0F.
bool is_link_local(const MacAddress& address) {
  return address[0] == 0x01 && address[1] == 0x80 && address[2] == 0xC2 && address[3] == 0 &&
         address[4] == 0 && address[5] <= 0x0F;
}

}  // namespace

bool Switch::add_port(PortId port, PortRules rules) {
  if (port >= kPortsMax || ports_.test(port)) return false;
  if (port != kWire && !table_.pin(rules.address, port)) return false;
  rules_[port] = std::move(rules);
  ports_.set(port);
  return true;
}

void Switch::remove_port(PortId port) {
  if (port >= kPortsMax || !ports_.test(port)) return;
  table_.remove(port);
  ports_.reset(port);
  rules_[port] = {};
}

Decision Switch::decide(std::span<const std::byte> bytes, PortId port, std::uint64_t now_ns) {
  const Decision decision = judge(bytes, port, now_ns);
  switch (decision.verdict) {
    case Verdict::unicast:
      ++statistics_.unicast;
      break;
    case Verdict::flood:
      ++statistics_.flooded;
      break;
    case Verdict::local:
      ++statistics_.dropped_local;
      break;
    case Verdict::same:
      ++statistics_.dropped_same;
      break;
    case Verdict::spoofed:
      ++statistics_.dropped_spoofed;
      break;
    case Verdict::runt:
      ++statistics_.dropped_runt;
      break;
  }
  return decision;
}

Decision Switch::judge(std::span<const std::byte> bytes, PortId port, std::uint64_t now_ns) {
  if (bytes.size() < kEthernetBytes || port >= kPortsMax || !ports_.test(port)) {
    return {.verdict = Verdict::runt};
  }
  const MacAddress to = address_at(bytes, 0);
  const MacAddress from = address_at(bytes, 6);
  if (is_group(from)) return {.verdict = Verdict::spoofed};
  const PortRules& rules = rules_[port];
  if (rules.only_own && (from != rules.address || !truthful(bytes, rules))) {
    return {.verdict = Verdict::spoofed};
  }
  if (!table_.learn(from, port, now_ns)) return {.verdict = Verdict::spoofed};
  if (is_link_local(to)) return {.verdict = Verdict::local};
  if (is_group(to)) return {.verdict = Verdict::flood};
  const auto behind = table_.find(to, now_ns);
  if (!behind || !ports_.test(*behind)) return {.verdict = Verdict::flood};
  if (*behind == port) return {.verdict = Verdict::same};
  return {.verdict = Verdict::unicast, .port = *behind};
}

bool Switch::truthful(std::span<const std::byte> bytes, const PortRules& rules) const {
  if (rules.ipv4.empty()) return true;
  const auto allowed = [&](std::uint32_t address) {
    return address == 0 || std::ranges::find(rules.ipv4, address) != rules.ipv4.end();
  };
  const PacketHeaders headers = parse_headers(bytes);
  const std::size_t at = headers.network_start;
  switch (headers.network) {
    case Network::ipv4:
      return bytes.size() >= at + kIpv4SourceAt + 4 && allowed(load32(bytes, at + kIpv4SourceAt));
    case Network::arp:
      return bytes.size() >= at + kArpBytes &&
             address_at(bytes, at + kArpSenderMacAt) == rules.address &&
             allowed(load32(bytes, at + kArpSenderIpAt));
    case Network::ipv6:
    case Network::other:
      return false;  // nothing but the configured addresses may be used
  }
  return false;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress address{};
  if (text.size() != address.size() * 3 - 1) return std::nullopt;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const char* const begin = text.data() + i * 3;
    const auto read = std::from_chars(begin, begin + 2, address[i], 16);
    if (read.ec != std::errc{} || read.ptr != begin + 2) return std::nullopt;
    if (i + 1 < address.size() && *(begin + 2) != ':') return std::nullopt;
  }
  return address;
}

std::vector<std::uint32_t> parse_ipv4_list(std::string_view text) {
  std::vector<std::uint32_t> addresses;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const char* at = text.data();
    const char* const stop = at + end;
    std::uint32_t address = 0;
    unsigned parts = 0;
    while (parts < 4) {
      std::uint8_t part = 0;
      const auto read = std::from_chars(at, stop, part);
      if (read.ec != std::errc{}) break;
      address = address << 8 | part;
      at = read.ptr;
      ++parts;
      if (parts == 4) break;
      if (at == stop || *at != '.') break;
      ++at;
    }
    if (parts == 4 && at == stop) addresses.push_back(address);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return addresses;
}

}  // namespace ppvmm::net

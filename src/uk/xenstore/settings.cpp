#include "uk/xenstore/settings.hpp"

#include "kernel/start.hpp"

namespace ppvmm::xenstore {
namespace {

using kernel::find_number;
using kernel::find_option;

constexpr std::uint64_t kDefaultLogKib = 1024;
constexpr std::uint64_t kDefaultAreaKib = 4096;
constexpr std::uint64_t kKib = 1024;

/// "A", "A,B": domids in the order of their indexes.
bool parse_backups(std::string_view text, Settings& settings) {
  for (auto& backup : settings.backups) {
    if (text.empty()) return true;
    std::uint32_t domid = 0;
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      domid = domid * 10 + static_cast<std::uint32_t>(text[digits++] - '0');
      if (domid >= DOMID_FIRST_RESERVED) return false;
    }
    if (digits == 0 || (digits < text.size() && text[digits] != ',')) return false;
    backup = static_cast<abi::DomId>(domid);
    text.remove_prefix(digits < text.size() ? digits + 1 : digits);
  }
  return text.empty();
}

}  // namespace

std::expected<Settings, std::string_view> Settings::parse(std::string_view line) {
  Settings settings;
  const std::string_view role = find_option(line, "role").value_or("primary");
  if (role != "primary" && role != "backup") return std::unexpected("role=");
  settings.role = role == "backup" ? Role::backup : Role::primary;

  if (settings.role == Role::primary) {
    const auto port = find_number(line, "dom0_port");
    if (!port) return std::unexpected("dom0_port=");
    settings.dom0_port = static_cast<abi::Port>(*port);
    settings.dom0_grant = static_cast<abi::GrantRef>(
        find_number(line, "dom0_grant").value_or(GNTTAB_RESERVED_XENSTORE));
    if (const auto backups = find_option(line, "backups");
        backups && !parse_backups(*backups, settings)) {
      return std::unexpected("backups=");
    }
  } else {
    const auto primary = find_number(line, "primary");
    if (!primary || *primary >= DOMID_FIRST_RESERVED) return std::unexpected("primary=");
    settings.primary = static_cast<abi::DomId>(*primary);
  }

  auto& geometry = settings.geometry;
  geometry.log_bytes = find_number(line, "log_kib").value_or(kDefaultLogKib) * kKib;
  geometry.checkpoint_bytes = find_number(line, "area_kib").value_or(kDefaultAreaKib) * kKib;
  geometry.slots = static_cast<std::uint32_t>(find_number(line, "slots").value_or(geometry.slots));
  if (!valid(geometry)) return std::unexpected("log_kib= area_kib= slots=");
  settings.scrub_ms = find_number(line, "scrub_ms").value_or(settings.scrub_ms);
  settings.scrub_nodes = find_number(line, "scrub_nodes").value_or(settings.scrub_nodes);
  settings.scrub_kib = find_number(line, "scrub_kib").value_or(settings.scrub_kib);
  if (settings.scrub_ms == 0) return std::unexpected("scrub_ms=");
  return settings;
}

}  // namespace ppvmm::xenstore

#include "net/switch/table.hpp"

#include "abi/checksum.hpp"

namespace ppvmm::net {
namespace {

constexpr std::uint64_t key_of(const MacAddress& address) {
  std::uint64_t key = 0;
  for (const std::uint8_t byte : address)
    key = key << 8 | byte;
  return key;
}

bool is_station(const MacAddress& address) {
  return !is_group(address) && key_of(address) != 0;
}

}  // namespace

AddressTable::AddressTable() = default;

std::size_t AddressTable::set_of(std::uint64_t key) const {
  return abi::mix(0x50505653u, key) % (kEntries / kWays) * kWays;
}

AddressTable::Entry* AddressTable::entry_of(std::uint64_t key) {
  const std::size_t first = set_of(key);
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (entries_[i].key == key) return &entries_[i];
  }
  return nullptr;
}

AddressTable::Entry* AddressTable::room_in_set(std::uint64_t key, std::uint64_t now_ns) {
  const std::size_t first = set_of(key);
  Entry* oldest = nullptr;
  for (std::size_t i = first; i < first + kWays; ++i) {
    Entry& entry = entries_[i];
    if (entry.key == 0) return &entry;
    if (entry.pinned) continue;
    if (now_ns - entry.seen_ns > kAgeNs && (oldest == nullptr || entry.seen_ns < oldest->seen_ns)) {
      oldest = &entry;
    }
  }
  if (oldest != nullptr) drop(*oldest);
  return oldest;
}

void AddressTable::drop(Entry& entry) {
  if (!entry.pinned) --used_[entry.port];
  entry = {};
}

bool AddressTable::pin(const MacAddress& address, PortId port) {
  if (!is_station(address)) return false;
  const std::uint64_t key = key_of(address);
  Entry* entry = entry_of(key);
  if (entry != nullptr) {
    if (entry->pinned) return entry->port == port;
    drop(*entry);
  } else {
    entry = room_in_set(key, 0);
  }
  if (entry == nullptr) {
    // All of the set is fresh: a learned one gives way to a configured one.
    const std::size_t first = set_of(key);
    for (std::size_t i = first; i < first + kWays && entry == nullptr; ++i) {
      if (!entries_[i].pinned) entry = &entries_[i];
    }
    if (entry == nullptr) return false;
    drop(*entry);
  }
  *entry = {.key = key, .seen_ns = 0, .port = port, .pinned = true};
  return true;
}

bool AddressTable::learn(const MacAddress& address, PortId port, std::uint64_t now_ns) {
  if (!is_station(address)) return true;  // no station has it; nothing is to be learned
  const std::uint64_t key = key_of(address);
  Entry* entry = entry_of(key);
  if (entry != nullptr) {
    if (entry->pinned) {
      if (entry->port == port) return true;
      ++statistics_.refused_pinned;
      return false;
    }
    if (entry->port != port) {
      ++statistics_.moved;
      --used_[entry->port];
      ++used_[port];
      entry->port = port;
    }
    entry->seen_ns = now_ns;
    return true;
  }
  if (used_[port] < (port == kWire ? kWireShare : kVifShare)) {
    entry = room_in_set(key, now_ns);
  }
  if (entry == nullptr) {
    ++statistics_.refused_full;
    return true;  // its traffic is flooded, nothing worse
  }
  *entry = {.key = key, .seen_ns = now_ns, .port = port, .pinned = false};
  ++used_[port];
  ++statistics_.learned;
  return true;
}

std::optional<PortId> AddressTable::find(const MacAddress& address, std::uint64_t now_ns) const {
  const std::uint64_t key = key_of(address);
  const std::size_t first = set_of(key);
  for (std::size_t i = first; i < first + kWays; ++i) {
    const Entry& entry = entries_[i];
    if (entry.key != key || key == 0) continue;
    if (!entry.pinned && now_ns - entry.seen_ns > kAgeNs) return std::nullopt;
    return entry.port;
  }
  return std::nullopt;
}

void AddressTable::remove(PortId port) {
  for (Entry& entry : entries_) {
    if (entry.key != 0 && entry.port == port) drop(entry);
  }
}

}  // namespace ppvmm::net

#include "root/vif_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace ppvmm::root {
namespace {

/// io/xenbus.h: the states that matter here.
constexpr const char* kInitialising = "1";
constexpr const char* kConnected = "4";
constexpr const char* kClosing = "5";
constexpr const char* kClosed = "6";

struct Vif {
  DomId guest{};
  std::uint32_t handle{};
};

std::string kept_path(const Vif& vif) {
  return fmt::format("/libxl/{}/device/vif/{}", vif.guest, vif.handle);
}

std::string front_path(const Vif& vif) {
  return fmt::format("/local/domain/{}/device/vif/{}", vif.guest, vif.handle);
}

std::string back_home(DomId backend) {
  return fmt::format("/local/domain/{}/backend/vif", backend);
}

std::string back_path(DomId backend, const Vif& vif) {
  return fmt::format("{}/{}/{}", back_home(backend), vif.guest, vif.handle);
}

template <class Number>
std::optional<Number> number_of(const std::string& text) {
  Number value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

/// All vifs whose back-end is `backend`, by libxl's own word.
std::vector<Vif> vifs_of(const XsClient& store, DomId backend) {
  std::vector<DomId> guests;
  std::vector<std::string> homes;
  for (const std::string& guest : store.list("/libxl")) {
    const auto domid = number_of<DomId>(guest);
    if (!domid) continue;
    guests.push_back(*domid);
    homes.push_back(fmt::format("/libxl/{}/device/vif", *domid));
  }
  std::vector<Vif> vifs;
  std::vector<std::string> backends;
  const auto handles = store.list_all(homes);
  for (std::size_t i = 0; i < guests.size(); ++i) {
    for (const std::string& handle : handles[i]) {
      const auto number = number_of<std::uint32_t>(handle);
      if (!number) continue;
      vifs.push_back({.guest = guests[i], .handle = *number});
      backends.push_back(kept_path(vifs.back()) + "/backend");
    }
  }
  const auto values = store.read_all(backends);
  std::vector<Vif> found;
  for (std::size_t i = 0; i < vifs.size(); ++i) {
    if (values[i] == back_path(backend, vifs[i])) found.push_back(vifs[i]);
  }
  return found;
}

/// What libxl wrote into the back-end's directory: of the entries `names` that it keeps.
Nodes kept_nodes(const XsClient& store, const Vif& vif, std::vector<std::string> names) {
  std::erase(names, "backend");  // libxl's own
  std::vector<std::string> paths;
  paths.reserve(names.size());
  for (const std::string& name : names)
    paths.push_back(kept_path(vif) + "/" + name);
  auto values = store.read_all(paths);
  Nodes nodes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (values[i]) nodes.emplace_back(std::move(names[i]), std::move(*values[i]));
  }
  return nodes;
}

/// What the front-end may send at most. libxl keeps it only if it was asked for; else it is this.
std::string mtu_of(const Nodes& kept) {
  constexpr const char* kDefault = "1500";
  const auto found = std::ranges::find(kept, "mtu", &Nodes::value_type::first);
  return found == kept.end() ? kDefault : found->second;
}

void set(Nodes& nodes, const std::string& name, std::string value) {
  const auto found = std::ranges::find(nodes, name, &Nodes::value_type::first);
  if (found == nodes.end()) {
    nodes.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

/// All of a front-end's nodes, itself among them. Of those that matter only queues have nodes below
/// them.
std::vector<std::string> nodes_of(const XsClient& store, const std::string& front,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> nodes{front};
  std::vector<std::string> queues;
  for (const std::string& name : names) {
    nodes.push_back(fmt::format("{}/{}", front, name));
    if (name.starts_with("queue-")) queues.push_back(nodes.back());
  }
  const auto below = store.list_all(queues);
  for (std::size_t i = 0; i < queues.size(); ++i) {
    for (const std::string& name : below[i])
      nodes.push_back(fmt::format("{}/{}", queues[i], name));
  }
  return nodes;
}

bool is_ours(const XsClient& store, DomId backend, const Vif& vif) {
  return store.read(kept_path(vif) + "/backend") == back_path(backend, vif);
}

/// False if there is nothing to write: its guest has died, the store has removed what that owned,
/// and nobody has cleared up the rest yet.
Result<bool> write_again(const XsClient& store, DomId backend, const Vif& vif) {
  const auto names = store.list_all(std::array{kept_path(vif), front_path(vif)});
  if (names[1].empty()) return false;
  Nodes nodes = kept_nodes(store, vif, names[0]);
  const std::string front = store.read(front_path(vif) + "/state").value_or(kClosed);
  const bool known = front == kConnected || front == kClosing || front == kClosed;
  if (front == kConnected) set(nodes, "hotplug-status", "connected");
  // Last: whoever finds it takes all as written.
  std::erase_if(nodes, [](const auto& node) { return node.first == "state"; });
  set(nodes, "state", known ? front : kInitialising);
  XsChanges changes;
  // The store took the dead domain out of the guest's rights as well, and each node has its own.
  const NodeRights guests{.owner = vif.guest, .reader = backend};
  for (const std::string& node : nodes_of(store, front_path(vif), names[1]))
    changes.set_rights(node, guests);
  changes.replace(back_path(backend, vif), {.owner = backend, .reader = vif.guest}, nodes);
  if (auto done = store.change(changes); !done) return std::unexpected(done.error());
  return true;
}

/// Not in a transaction, which is slow: the back-end does not run yet, and asks for the front-end's
/// state itself when it does. What a vif may do meanwhile is to go, or to change its nodes. True if
/// it has not gone.
Result<bool> restore(const XsClient& store, DomId backend, const Vif& vif) {
  constexpr int kMostTries = 10;
  Result<bool> done = false;
  for (int i = 0; i < kMostTries; ++i) {
    done = write_again(store, backend, vif);
    // Who lets it go from now on finds, and removes, what was written.
    if (!is_ours(store, backend, vif)) {
      if (auto gone = store.remove(back_path(backend, vif)); !gone) {
        return std::unexpected(gone.error());
      }
      return false;
    }
    if (done) break;
  }
  return done;
}

/// A handle that the guest has no vif with. Its kernel takes up a new directory in any case; one
/// that vanishes and comes back at once it may never miss.
std::uint32_t free_handle(const XsClient& store, const Vif& vif) {
  std::uint32_t handle = vif.handle + 1;
  while (store.read(kept_path({.guest = vif.guest, .handle = handle}) + "/backend"))
    ++handle;
  return handle;
}

Result<void> move_vif(XsClient& store, DomId from, DomId to, const Vif& old) {
  return store.in_transaction([&]() -> Result<void> {
    const Vif fresh{.guest = old.guest, .handle = free_handle(store, old)};
    const std::string handle = std::to_string(fresh.handle);
    Nodes back = kept_nodes(store, old, store.list(kept_path(old)));
    const std::string mtu = mtu_of(back);
    set(back, "frontend", front_path(fresh));
    set(back, "handle", handle);
    set(back, "state", kInitialising);
    Nodes front{{"backend", back_path(to, fresh)},
                {"backend-id", std::to_string(to)},
                {"state", kInitialising},
                {"handle", handle},
                {"mtu", mtu}};
    for (const char* const name : {"mac", "xdp-headroom", "trusted"}) {
      if (auto value = store.read(front_path(old) + "/" + name)) front.emplace_back(name, *value);
    }
    Nodes kept = back;
    kept.emplace_back("backend", back_path(to, fresh));
    // No tool stack has to see state 2 pass by: net_uk need not stay in it (handshake.hpp).
    set(back, "moved", "1");
    XsChanges changes;
    for (const std::string& path : {front_path(old), back_path(from, old), kept_path(old)})
      changes.remove(path);
    changes.replace(kept_path(fresh), {.owner = 0, .reader = {}}, kept);
    changes.replace(front_path(fresh), {.owner = fresh.guest, .reader = to}, front);
    changes.replace(back_path(to, fresh), {.owner = to, .reader = fresh.guest}, back);
    return store.change(changes);
  });
}

}  // namespace

Result<std::uint64_t> restore_vifs(XsClient& store, DomId backend) {
  const std::vector<Vif> vifs = vifs_of(store, backend);
  if (vifs.empty() && !store.read(back_home(backend))) return 0;
  // Dom0's own, so they outlived the dead domain, but the store took its right to look into them.
  const NodeRights readable{.owner = 0, .reader = backend};
  XsChanges homes;
  homes.make(back_home(backend), readable);
  std::vector<std::string> states;
  for (const Vif& vif : vifs) {
    homes.make(fmt::format("{}/{}", back_home(backend), vif.guest), readable);
    states.push_back(back_path(backend, vif) + "/state");
  }
  if (auto made = store.change(homes); !made) return std::unexpected(made.error());
  const auto there = store.read_all(states);
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < vifs.size(); ++i) {
    if (there[i]) continue;
    const auto done = restore(store, backend, vifs[i]);
    if (!done) return std::unexpected(done.error());
    if (*done) ++written;
  }
  return written;
}

Result<void> furnish_vifs(XsClient& store, DomId backend) {
  for (const Vif& vif : vifs_of(store, backend)) {
    const auto done = store.in_transaction([&]() -> Result<void> {
      // In the guest's directory, but the back-end's own: the store removed it with the dead
      // domain.
      const std::string path = front_path(vif) + "/mtu";
      const bool front = store.read(front_path(vif) + "/state").has_value();
      if (!front || !is_ours(store, backend, vif) || store.read(path)) return {};
      XsChanges mtu;
      mtu.make(path, {.owner = backend, .reader = vif.guest});
      mtu.write(path, mtu_of(kept_nodes(store, vif, {"mtu"})));
      return store.change(mtu);
    });
    if (!done) return done;
  }
  return {};
}

Result<std::uint64_t> move_vifs(XsClient& store, DomId from, DomId to) {
  std::uint64_t moved = 0;
  for (const Vif& vif : vifs_of(store, from)) {
    if (auto done = move_vif(store, from, to, vif); !done) return std::unexpected(done.error());
    ++moved;
  }
  return moved;
}

}  // namespace ppvmm::root

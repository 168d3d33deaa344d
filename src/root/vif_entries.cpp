#include "root/vif_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
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
  std::vector<Vif> found;
  for (const std::string& guest : store.list("/libxl")) {
    const auto domid = number_of<DomId>(guest);
    if (!domid) continue;
    for (const std::string& handle : store.list(fmt::format("/libxl/{}/device/vif", *domid))) {
      const auto number = number_of<std::uint32_t>(handle);
      if (!number) continue;
      const Vif vif{.guest = *domid, .handle = *number};
      if (store.read(kept_path(vif) + "/backend") == back_path(backend, vif)) found.push_back(vif);
    }
  }
  return found;
}

/// What libxl wrote into the back-end's directory.
Nodes kept_nodes(const XsClient& store, const Vif& vif) {
  Nodes nodes;
  for (const std::string& name : store.list(kept_path(vif))) {
    if (name == "backend") continue;  // libxl's own
    if (auto value = store.read(kept_path(vif) + "/" + name)) nodes.emplace_back(name, *value);
  }
  return nodes;
}

/// What the front-end may send at most. libxl keeps it only if it was asked for; else it is this.
std::string mtu_of(const XsClient& store, const Vif& vif) {
  constexpr const char* kDefault = "1500";
  return store.read(kept_path(vif) + "/mtu").value_or(kDefault);
}

void set(Nodes& nodes, const std::string& name, std::string value) {
  const auto found = std::ranges::find(nodes, name, &Nodes::value_type::first);
  if (found == nodes.end()) {
    nodes.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

/// The store took the dead domain out of the guest's rights as well. Each node has its own; of
/// those that matter only queues have nodes below them.
Result<void> make_readable(const XsClient& store, const std::string& path, const NodeRights& rights,
                           bool with_queues) {
  if (auto set = store.set_rights(path, rights); !set) return set;
  for (const std::string& name : store.list(path)) {
    const std::string below = fmt::format("{}/{}", path, name);
    const bool queue = with_queues && name.starts_with("queue-");
    auto set = queue ? make_readable(store, below, rights, false) : store.set_rights(below, rights);
    if (!set) return set;
  }
  return {};
}

Result<void> restore(XsClient& store, DomId backend, const Vif& vif) {
  return store.in_transaction([&]() -> Result<void> {
    Nodes nodes = kept_nodes(store, vif);
    const std::string front = store.read(front_path(vif) + "/state").value_or(kClosed);
    const bool known = front == kConnected || front == kClosing || front == kClosed;
    set(nodes, "state", known ? front : kInitialising);
    if (front == kConnected) set(nodes, "hotplug-status", "connected");
    const NodeRights guests{.owner = vif.guest, .reader = backend};
    if (auto made = make_readable(store, front_path(vif), guests, true); !made) return made;
    // In the guest's directory, but the back-end's own: the store removed it with the dead domain.
    const NodeRights own{.owner = backend, .reader = vif.guest};
    const std::string mtu = front_path(vif) + "/mtu";
    if (auto made = store.make(mtu, own); !made) return made;
    if (auto written = store.write(mtu, mtu_of(store, vif)); !written) return written;
    return store.replace(back_path(backend, vif), own, nodes);
  });
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
    Nodes back = kept_nodes(store, old);
    set(back, "frontend", front_path(fresh));
    set(back, "handle", handle);
    set(back, "state", kInitialising);
    Nodes front{{"backend", back_path(to, fresh)},
                {"backend-id", std::to_string(to)},
                {"state", kInitialising},
                {"handle", handle},
                {"mtu", mtu_of(store, old)}};
    for (const char* const name : {"mac", "xdp-headroom", "trusted"}) {
      if (auto value = store.read(front_path(old) + "/" + name)) front.emplace_back(name, *value);
    }
    Nodes kept = back;
    kept.emplace_back("backend", back_path(to, fresh));
    for (const std::string& path : {front_path(old), back_path(from, old), kept_path(old)}) {
      if (auto gone = store.remove(path); !gone) return gone;
    }
    if (auto made = store.replace(kept_path(fresh), {.owner = 0, .reader = {}}, kept); !made) {
      return made;
    }
    if (auto made = store.replace(front_path(fresh), {.owner = fresh.guest, .reader = to}, front);
        !made) {
      return made;
    }
    return store.replace(back_path(to, fresh), {.owner = to, .reader = fresh.guest}, back);
  });
}

}  // namespace

Result<std::uint64_t> restore_vifs(XsClient& store, DomId backend) {
  const std::vector<Vif> vifs = vifs_of(store, backend);
  if (vifs.empty() && !store.read(back_home(backend))) return 0;
  // Dom0's own, so they outlived the dead domain, but the store took its right to look into them.
  const NodeRights readable{.owner = 0, .reader = backend};
  if (auto made = store.make(back_home(backend), readable); !made) {
    return std::unexpected(made.error());
  }
  std::uint64_t written = 0;
  for (const Vif& vif : vifs) {
    const std::string home = fmt::format("{}/{}", back_home(backend), vif.guest);
    if (auto made = store.make(home, readable); !made) return std::unexpected(made.error());
    if (store.read(back_path(backend, vif) + "/state")) continue;
    if (auto done = restore(store, backend, vif); !done) return std::unexpected(done.error());
    ++written;
  }
  return written;
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

#include "uk/net/backend.hpp"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "kernel/console.hpp"

namespace ppvmm::netuk {
namespace {

using kernel::task::Task;

constexpr std::string_view kRoot = "backend/vif";

std::optional<std::uint16_t> number_of(std::string_view text) {
  std::uint16_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The next part of a path, taken off its front.
std::string_view next_part(std::string_view& path) {
  const std::size_t end = path.find('/');
  const std::string_view part = path.substr(0, end);
  path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  return part;
}

}  // namespace

Backend::Backend(Plumbing& plumbing, xenbus::Store& store, Policy policy)
    : plumbing_(&plumbing), store_(&store), policy_(policy) {
  plumbing.set_offence_listener(this);
}

std::size_t Backend::adopt() {
  std::size_t adopted = 0;
  for (std::size_t slot = 0; slot < plumbing_->records().size(); ++slot) {
    auto connection = Connection::adopt(*plumbing_, slot);
    if (!connection) continue;
    ++adopted;
    auto& device = devices_.emplace_back(std::make_unique<VifDevice>(
        *plumbing_, *store_, policy_, gate_, connection->domid(), connection->handle()));
    device->inherit(std::move(connection));
  }
  Connection::release_orphans(plumbing_->records());
  return adopted;
}

Task<> Backend::follow() {
  xenbus::Watch watch(*store_, std::string(kRoot));
  for (;;) {
    const auto changed = co_await watch.next();
    if (!changed) {
      kernel::log(kernel::Level::error,
                  "backend/vif cannot be watched: ", xenbus::text_of(changed.error()));
      co_return;
    }
    reap();
    // Either below a vif, or above them all.
    std::string_view path = *changed;
    const std::size_t at = path.find(kRoot);
    if (at == std::string_view::npos) continue;
    path.remove_prefix(std::min(path.size(), at + kRoot.size() + 1));
    const auto domid = number_of(next_part(path));
    const auto handle = number_of(next_part(path));
    if (domid && handle) {
      seen(*domid, *handle);
    } else {
      co_await scan();
      first_look_.give_back();
    }
  }
}

void Backend::look_again() {
  scanning_.emplace(kernel::task::scheduler(), scan(),
                    static_cast<std::uint32_t>(kernel::vitals::component("xenbus")));
}

Task<> Backend::scan() {
  const auto domids = co_await store_->directory(kRoot);
  if (!domids) {
    if (domids.error() != xenbus::Error::no_entry) {
      kernel::log(kernel::Level::error,
                  "backend/vif cannot be read: ", xenbus::text_of(domids.error()));
    }
    co_return;  // else nothing is there yet
  }
  for (const std::string& domain : *domids) {
    const auto domid = number_of(domain);
    const auto handles = co_await store_->directory(std::string(kRoot) + "/" + domain);
    if (!domid || !handles) continue;
    for (const std::string& each : *handles) {
      if (const auto handle = number_of(each)) seen(*domid, *handle);
    }
  }
  // Those that vanished as a whole look for themselves.
  for (const auto& device : devices_)
    device->poke();
}

void Backend::seen(std::uint16_t domid, std::uint16_t handle) {
  if (VifDevice* const known = find(domid, handle)) {
    known->poke();
    return;
  }
  devices_.push_back(
      std::make_unique<VifDevice>(*plumbing_, *store_, policy_, gate_, domid, handle));
}

VifDevice* Backend::find(std::uint16_t domid, std::uint16_t handle) {
  for (const auto& device : devices_) {
    if (device->domid() == domid && device->handle() == handle && !device->over()) {
      return device.get();
    }
  }
  return nullptr;
}

void Backend::reap() {
  std::erase_if(devices_, [](const auto& device) { return device->over(); });
}

void Backend::offended(Connection& connection, net::Hostile reason) {
  for (const auto& device : devices_) {
    if (device->holds(connection)) device->offended(reason);
  }
}

}  // namespace ppvmm::netuk

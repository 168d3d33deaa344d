// net errands: what root has done in XenStore by a child process (daemon/errands.hpp).
#include <sys/mman.h>

#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "root/driver_domain.hpp"
#include "root/errand_words.hpp"
#include "root/tool/net.hpp"
#include "root/vif_entries.hpp"

namespace ppvmm::root::tool {
namespace {

/// Of one that root builds: nobody else's may be built again.
Result<Record> load(const Registry& registry, const std::string& name) {
  auto record = registry.load(name);
  if (record && !record->spec.bus) {
    return refused("\"" + name + "\" was not started by ppvmm net start");
  }
  return record;
}

class Servant {
 public:
  explicit Servant(const Common& common) : common_(common) {}

  /// Connected before it is needed; what fails now fails again, and is told, at the first errand.
  void prepare() {
    static_cast<void>(connect());
    // What must be read from a file first, or copied, takes longer than the errands.
    static_cast<void>(mlockall(MCL_CURRENT | MCL_FUTURE));
  }

  Result<void> carry_out(const std::string& line) {
    if (auto connected = connect(); !connected) return connected;
    std::istringstream words(line);
    std::string what;
    std::string name;
    std::string other;
    words >> what >> name >> other;
    auto done = what == "join"    ? join(name)
                : what == "leave" ? leave(name)
                : what == "home"  ? furnish(name)
                : what == "move"  ? move(name, other)
                                  : refused("no such errand: " + line);
    // It may have been the connection that failed.
    if (!done) store_.reset();
    return done;
  }

 private:
  Result<void> connect() {
    if (!store_) {
      auto store = XsClient::open();
      if (!store) return std::unexpected(store.error());
      store_ = std::move(*store);
    }
    if (!xen_) {
      auto xen = Xen::open();
      if (!xen) return std::unexpected(xen.error());
      xen_ = std::move(*xen);
    }
    return {};
  }

  Result<void> join(const std::string& name) {
    const auto record = load(common_.registry(), name);
    if (!record) return std::unexpected(record.error());
    const auto joined = join_bus(
        *xen_, *store_, place_of(record->name, record->spec, record->built), common_.limit());
    if (!joined) return std::unexpected(joined.error());
    return {};
  }

  Result<void> furnish(const std::string& name) {
    const auto record = load(common_.registry(), name);
    if (!record) return std::unexpected(record.error());
    return furnish_home(*store_, place_of(record->name, record->spec, record->built));
  }

  Result<void> leave(const std::string& name) {
    const auto record = load(common_.registry(), name);
    if (!record) return std::unexpected(record.error());
    return leave_bus(*store_, record->built.domid, record->spec.pci, common_.limit());
  }

  Result<void> move(const std::string& from, const std::string& to) {
    const auto moved = move_between(*store_, common_.registry(), from, to);
    if (!moved) return std::unexpected(moved.error());
    return {};
  }

  const Common& common_;
  std::optional<XsClient> store_;
  std::optional<Xen> xen_;
};

}  // namespace

Result<std::uint64_t> move_between(XsClient& store, const Registry& registry,
                                   const std::string& from, const std::string& to) {
  const auto giver = registry.load(from);
  if (!giver) return std::unexpected(giver.error());
  const auto taker = registry.load(to);
  if (!taker) return std::unexpected(taker.error());
  if (giver->built.domid == taker->built.domid) return refused("they are the same domain");
  return move_vifs(store, giver->built.domid, taker->built.domid);
}

int net_errands(const Common& common) {
  Servant servant(common);
  servant.prepare();
  for (std::string line; std::getline(std::cin, line);) {
    const auto done = servant.carry_out(line);
    std::cout << (done ? std::string(kErrandDone)
                       : std::string(kErrandFailed) + done.error().text())
              << '\n'
              << std::flush;
  }
  return kDone;
}

}  // namespace ppvmm::root::tool

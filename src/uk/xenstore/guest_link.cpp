#include "uk/xenstore/guest_link.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::xenstore {
namespace {

constexpr std::size_t kPage = 4096;

/// Survivors of a guest carry its id as their tag: there is one mapping and one port for each.
std::uint32_t tag_of(store::DomId domid) {
  return domid;
}

/// Makes sure that nothing of an earlier connection of this domain stands in the way.
void drop_leftovers(store::DomId domid) {
  if (auto page = kernel::grants::survived(tag_of(domid))) page->unmap();
  if (const abi::Port port = kernel::events::survived(tag_of(domid)); port != 0) {
    kernel::events::forget(tag_of(domid));
    kernel::events::close(port);
  }
}

}  // namespace

std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> GuestLink::attach(
    store::DomId domid, abi::GrantRef grant, abi::Port remote_port) {
  drop_leftovers(domid);
  auto page = kernel::grants::map(domid, grant, kernel::grants::Access::read_write);
  if (!page) return std::unexpected(store::IntroduceResult::bad_ring);
  const auto port = kernel::events::bind_interdomain(domid, remote_port);
  if (!port) return std::unexpected(store::IntroduceResult::bad_port);
  // What cannot be kept (a full table) is mapped and bound anew by the next life.
  if (!page->survive(tag_of(domid)) ||
      !kernel::events::survive(*port, tag_of(domid), domid, remote_port)) {
    kernel::log(kernel::Level::warning, "domain ", domid, ": no room in the survivors table");
  }
  return std::unique_ptr<GuestLink>(new GuestLink(domid, std::move(*page), *port));
}

std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> GuestLink::resume(
    store::DomId domid, abi::GrantRef grant, abi::Port remote_port) {
  auto page = kernel::grants::survived(tag_of(domid));
  const auto port = kernel::vitals::survivors().find(abi::SurvivorKind::port, tag_of(domid));
  if (page && port && port->peer == remote_port) {
    return std::unique_ptr<GuestLink>(new GuestLink(domid, std::move(*page), port->id));
  }
  if (page) page->leave();
  return attach(domid, grant, remote_port);
}

GuestLink::GuestLink(store::DomId domid, kernel::grants::Mapping page, abi::Port port)
    : domid_(domid), page_(std::move(page)), port_(port) {}

GuestLink::~GuestLink() {
  kernel::events::forget(tag_of(domid_));
  kernel::events::close(port_);
}

replication::SharedMemory GuestLink::page() const {
  return replication::SharedMemory{{page_.data(), kPage}};
}

}  // namespace ppvmm::xenstore

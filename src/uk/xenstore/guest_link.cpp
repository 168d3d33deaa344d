#include "uk/xenstore/guest_link.hpp"

#include <utility>

#include "kernel/events.hpp"

namespace ppvmm::xenstore {
namespace {

store::RingPage& page_at(std::byte* data) {
  return *reinterpret_cast<store::RingPage*>(data);
}

}  // namespace

std::expected<std::unique_ptr<GuestLink>, store::IntroduceResult> GuestLink::attach(
    store::DomId domid, abi::GrantRef grant, abi::Port remote_port) {
  auto page = kernel::grants::map(domid, grant, kernel::grants::Access::read_write);
  if (!page) return std::unexpected(store::IntroduceResult::bad_ring);
  const auto port = kernel::events::bind_interdomain(domid, remote_port);
  if (!port) return std::unexpected(store::IntroduceResult::bad_port);
  return std::unique_ptr<GuestLink>(new GuestLink(domid, std::move(*page), *port));
}

GuestLink::GuestLink(store::DomId domid, kernel::grants::Mapping page, abi::Port port)
    : domid_(domid), page_(std::move(page)), port_(port), ring_(page_at(page_.data())) {
  ring_.advertise();
}

GuestLink::~GuestLink() {
  kernel::events::close(port_);
}

}  // namespace ppvmm::xenstore

#include "front_end.hpp"

#include <cstring>

#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/text.hpp"
#include "kernel/time.hpp"

namespace ppvmm::test {
namespace {

using kernel::task::Task;

constexpr kernel::Nanoseconds kRestNs = 10 * kernel::time::kMillisecond;
constexpr unsigned kTries = 1000;

/// A zeroed page, and a grant of it.
std::byte* shared_page(abi::DomId domid, abi::GrantRef& grant) {
  std::byte* const page = kernel::memory::take_pages(1);
  if (page == nullptr) return nullptr;
  std::memset(page, 0, kernel::kPage);
  const auto given = kernel::grants::grant(domid, page, kernel::grants::Access::read_write);
  if (!given) return nullptr;
  grant = *given;
  return page;
}

Task<bool> wait_for(xenbus::Store& store, const std::string& path, xenbus::State wanted) {
  for (unsigned i = 0; i < kTries; ++i) {
    if (co_await xenbus::read_state(store, path) == wanted) co_return true;
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + kRestNs};
  }
  co_return false;
}

}  // namespace

FrontEnd::FrontEnd(xenbus::Store& store, std::size_t number)
    : store_(&store), own_(kernel::Text<32>("device/vif/", number).view()) {}

Task<bool> FrontEnd::connect() {
  const auto backend = co_await store_->read(own_ + "/backend");
  const auto id = co_await store_->read_number(own_ + "/backend-id");
  if (!backend || !id) co_return false;
  backend_ = *backend;
  backend_id_ = static_cast<abi::DomId>(*id);
  if (!co_await wait_for(*store_, backend_, xenbus::State::init_wait)) co_return false;
  abi::GrantRef tx_grant{};
  abi::GrantRef rx_grant{};
  tx_page_ = shared_page(backend_id_, tx_grant);
  rx_page_ = shared_page(backend_id_, rx_grant);
  data_ = shared_page(backend_id_, data_grant_);
  const auto port = kernel::events::alloc_unbound(backend_id_);
  if (tx_page_ == nullptr || rx_page_ == nullptr || data_ == nullptr || !port) co_return false;
  port_ = *port;
  kernel::events::handle(
      port_, [](void*, abi::Port) {}, nullptr);
  // SHARED_RING_INIT (io/ring.h).
  tx().req_event = tx().rsp_event = rx().req_event = rx().rsp_event = 1;
  const std::pair<const char*, std::uint64_t> offers[] = {
      {"/tx-ring-ref", tx_grant}, {"/rx-ring-ref", rx_grant}, {"/event-channel", port_},
      {"/request-rx-copy", 1},    {"/feature-sg", 1},         {"/feature-gso-tcpv4", 1}};
  for (const auto& [name, value] : offers) {
    if (!co_await store_->write_number(own_ + name, value)) co_return false;
  }
  if (!co_await xenbus::switch_state(*store_, own_, xenbus::State::connected)) co_return false;
  co_return co_await wait_for(*store_, backend_, xenbus::State::connected);
}

void FrontEnd::send(const Request& request) {
  netif_tx_request_t& slot = tx().ring[tx().req_prod % kSlots].req;
  slot.gref = request.grant;
  slot.offset = request.offset;
  slot.flags = request.flags;
  slot.id = request.id;
  slot.size = request.size;
  __atomic_store_n(&tx().req_prod, tx().req_prod + 1, __ATOMIC_SEQ_CST);
}

void FrontEnd::send_extra(std::uint8_t type, std::uint8_t flags, std::uint16_t gso_size) {
  netif_extra_info_t info{};
  info.type = type;
  info.flags = flags;
  info.u.gso.size = gso_size;
  info.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
  std::memcpy(&tx().ring[tx().req_prod % kSlots], &info, sizeof info);
  __atomic_store_n(&tx().req_prod, tx().req_prod + 1, __ATOMIC_SEQ_CST);
}

void FrontEnd::notify() {
  kernel::events::notify(port_);
}

}  // namespace ppvmm::test

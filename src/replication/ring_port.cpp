#include "replication/ring_port.hpp"

#include <algorithm>
#include <cstddef>

#include "store/ring.hpp"

namespace ppvmm::replication {
namespace {

using store::kRingBytes;
using Page = store::RingPage;

/// Bytes from `index` to the end of the queue's memory, at most `count`.
std::size_t first_part(std::uint32_t index, std::size_t count) {
  return std::min(count, kRingBytes - index % kRingBytes);
}

}  // namespace

std::optional<std::uint32_t> RingPort::waiting(std::uint32_t consumed) const {
  const std::uint32_t count = page_.load32(offsetof(Page, req_prod)) - consumed;
  if (count > kRingBytes) return std::nullopt;
  return count;
}

std::optional<std::uint32_t> RingPort::room(std::uint32_t produced) const {
  const std::uint32_t used = produced - page_.load32(offsetof(Page, rsp_cons));
  if (used > kRingBytes) return std::nullopt;
  return static_cast<std::uint32_t>(kRingBytes) - used;
}

void RingPort::read(std::uint32_t at, std::span<std::byte> out) const {
  const std::size_t first = first_part(at, out.size());
  page_.read(offsetof(Page, req) + at % kRingBytes, out.first(first));
  page_.read(offsetof(Page, req), out.subspan(first));
}

void RingPort::write(std::uint32_t at, std::span<const std::byte> bytes) {
  const std::size_t first = first_part(at, bytes.size());
  page_.write(offsetof(Page, rsp) + at % kRingBytes, bytes.first(first));
  page_.write(offsetof(Page, rsp), bytes.subspan(first));
}

void RingPort::set_consumed(std::uint32_t index) {
  page_.store32(offsetof(Page, req_cons), index);
}

void RingPort::set_produced(std::uint32_t index) {
  page_.store32(offsetof(Page, rsp_prod), index);
}

std::uint32_t RingPort::consumed() const {
  return page_.load32(offsetof(Page, req_cons));
}

std::uint32_t RingPort::produced() const {
  return page_.load32(offsetof(Page, rsp_prod));
}

bool RingPort::reconnect_requested() const {
  return page_.load32(offsetof(Page, connection)) == XENSTORE_RECONNECT;
}

void RingPort::reset() {
  for (const std::size_t index : {offsetof(Page, req_cons), offsetof(Page, req_prod),
                                  offsetof(Page, rsp_cons), offsetof(Page, rsp_prod)}) {
    page_.store32(index, 0);
  }
  page_.store32(offsetof(Page, error), XENSTORE_ERROR_NONE);
  page_.store32(offsetof(Page, connection), XENSTORE_CONNECTED);
}

void RingPort::report(std::uint32_t error) {
  page_.store32(offsetof(Page, error), error);
}

void RingPort::advertise() {
  const std::uint32_t features = page_.load32(offsetof(Page, server_features));
  page_.store32(offsetof(Page, server_features), features | store::ServerRing::kFeatures);
}

}  // namespace ppvmm::replication

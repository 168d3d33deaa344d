#include "replication/ring_port.hpp"

#include <algorithm>
#include <cstddef>

#include "store/ring.hpp"

namespace ppvmm::replication {
namespace {

using store::kRingBytes;
using Page = store::RingPage;

/// Behind what io/xs_wire.h lays out: what is held. `count` tells it from what was held before and
/// consumed since: a whole request is longer than what was held of it.
struct HeldRequest {
  std::uint32_t at;
  std::uint32_t count;
  std::byte bytes[kRingBytes];
};
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHeldOffset = kPageBytes - sizeof(HeldRequest);
constexpr std::size_t kHeldBytesOffset = kHeldOffset + offsetof(HeldRequest, bytes);
static_assert(kHeldOffset >= sizeof(Page) && kHeldOffset % sizeof(std::uint64_t) == 0);

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

void RingPort::hold(std::uint32_t at, std::size_t offset, std::span<const std::byte> bytes) {
  page_.write(kHeldBytesOffset + offset, bytes);
  const std::uint64_t count = offset + bytes.size();
  page_.store64(kHeldOffset, count << 32 | at);
}

std::optional<RingPort::Held> RingPort::held() const {
  const std::uint64_t word = page_.load64(kHeldOffset);
  const auto at = static_cast<std::uint32_t>(word);
  const std::uint64_t count = word >> 32;
  const std::uint32_t passed = consumed() - at;
  if (passed == 0 || passed > count || count > kRingBytes) return std::nullopt;
  Held held{at, std::vector<std::byte>(passed)};
  page_.read(kHeldBytesOffset, held.bytes);
  return held;
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

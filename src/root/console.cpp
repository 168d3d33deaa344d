#include "root/console.hpp"

#include <xen/io/console.h>

#include <array>
#include <atomic>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

struct Unread {
  std::uint32_t begin;
  std::uint32_t end;
};

xencons_interface& ring_of(const Mapping& mapping) {
  return *reinterpret_cast<xencons_interface*>(mapping.bytes().data());
}

// The indexes run free; their difference is what is unread. A producer that claims more than the
// ring holds has overwritten the oldest bytes: only the newest ring's worth is believed.
Unread unread(xencons_interface& ring) {
  const std::uint32_t size = sizeof ring.out;
  const std::uint32_t end = std::atomic_ref(ring.out_prod).load(std::memory_order_acquire);
  const std::uint32_t begin = std::atomic_ref(ring.out_cons).load(std::memory_order_relaxed);
  return end - begin > size ? Unread{end - size, end} : Unread{begin, end};
}

std::string copy(xencons_interface& ring, Unread part) {
  std::string text;
  text.reserve(part.end - part.begin);
  for (std::uint32_t at = part.begin; at != part.end; ++at) {
    text.push_back(std::atomic_ref(ring.out[at % sizeof ring.out]).load(std::memory_order_relaxed));
  }
  return text;
}

}  // namespace

Result<ConsoleReader> ConsoleReader::map(const Xen& xen, const BuiltDomain& built) {
  static_assert(sizeof(xencons_interface) <= kPageSize);
  const std::array<Mfn, 1> frame{built.console_frame};
  auto mapping = xen.map(built.domid, frame, Access::read_write);
  if (!mapping) return std::unexpected(mapping.error());
  return ConsoleReader(std::move(*mapping));
}

std::string ConsoleReader::take() {
  xencons_interface& ring = ring_of(mapping_);
  const Unread part = unread(ring);
  std::string text = copy(ring, part);
  std::atomic_ref(ring.out_cons).store(part.end, std::memory_order_release);
  return text;
}

std::string ConsoleReader::peek() const {
  xencons_interface& ring = ring_of(mapping_);
  return copy(ring, unread(ring));
}

}  // namespace ppvmm::root

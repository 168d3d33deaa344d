/// Fuzzes the ring page: the input overwrites parts of it between the server's turns.
#include <algorithm>

#include "fuzz/script.hpp"
#include "store/ring.hpp"
#include "support/ring_host.hpp"

namespace ppvmm::fuzz {
namespace {

void run(Script script) {
  test::RingHost host{small_store()};
  store::RingPage& page = host.page();
  while (!script.done()) {
    const std::size_t offset =
        (std::size_t{script.byte()} << 8U | script.byte()) % host.bytes().size();
    const auto bytes = script.bytes(script.byte());
    const std::size_t count = std::min(bytes.size(), host.bytes().size() - offset);
    std::ranges::copy(bytes.first(count),
                      host.bytes().begin() + static_cast<std::ptrdiff_t>(offset));
    if (offset % 3 == 0) page.req_prod = page.req_cons + static_cast<std::uint32_t>(count);
    if (offset % 5 == 0) page.rsp_cons = page.rsp_prod;
    const bool was_broken = host.broken();
    const bool bad = host.impossible();
    const bool wants_reset = store::ServerRing{page}.reconnect_requested();
    host.turn();
    // Indexes that cannot be end the connection, and the page says so.
    if (bad && !wants_reset && !was_broken && !host.broken()) __builtin_trap();
  }
  check(host.machine(), host.socket());
}

}  // namespace
}  // namespace ppvmm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ppvmm::fuzz::run({{reinterpret_cast<const std::byte*>(data), size}});
  return 0;
}

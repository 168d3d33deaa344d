/// Fuzzes the ring page: the input overwrites parts of it between the server's turns.
#include <algorithm>
#include <cstring>

#include "fuzz/script.hpp"
#include "store/ring_link.hpp"

namespace ppvmm::fuzz {
namespace {

void run(Script script) {
  store::Machine machine{small_store()};
  const store::ConnId socket = machine.connect_socket();
  machine.connect_domain(1, 1, 1);
  store::RingPage page{};
  store::ServerRing ring{page};
  ring.advertise();
  while (!script.done()) {
    const std::size_t offset = (std::size_t{script.byte()} << 8U | script.byte()) % sizeof page;
    const auto bytes = script.bytes(script.byte());
    const std::size_t count = std::min(bytes.size(), sizeof page - offset);
    if (count > 0) std::memcpy(reinterpret_cast<std::byte*>(&page) + offset, bytes.data(), count);
    if (offset % 3 == 0) page.req_prod = page.req_cons + static_cast<std::uint32_t>(count);
    if (offset % 5 == 0) page.rsp_cons = page.rsp_prod;
    const bool was_broken = machine.broken(*machine.connection_of(1));
    const bool bad = page.req_prod - page.req_cons > store::kRingBytes;
    const bool wants_reset = ring.reconnect_requested();
    (void)store::serve(machine, 1, ring);
    // Indexes that cannot be end the connection, and the page says so.
    if (bad && !wants_reset && !was_broken && !machine.broken(*machine.connection_of(1))) {
      __builtin_trap();
    }
    for (const store::Effect& effect : machine.take_effects()) {
      if (effect.kind == store::Effect::Kind::reset_ring) ring.reset();
    }
    (void)machine.take_log();
    (void)machine.take_ready();
  }
  check(machine, socket);
}

}  // namespace
}  // namespace ppvmm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ppvmm::fuzz::run({{reinterpret_cast<const std::byte*>(data), size}});
  return 0;
}

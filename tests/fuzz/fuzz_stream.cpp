/// Fuzzes the migration stream: what load() accepts must be a machine that works, and whose dump is
/// stable.
#include "fuzz/script.hpp"
#include "support/message.hpp"

namespace ppvmm::fuzz {
namespace {

void run(std::span<const std::byte> stream) {
  auto machine = store::Machine::load(small_store(), stream);
  if (!machine) return;
  const auto dump = machine->dump();
  auto again = store::Machine::load(small_store(), dump);
  // A machine that fills its memory limit may be refused by it; nothing else may.
  if (!again) {
    if (again.error() != store::StreamError::over_quota) __builtin_trap();
    return;
  }
  if (again->dump() != dump) __builtin_trap();
  for (const store::ConnId conn : again->sockets())
    again->disconnect(conn);
  for (const store::Effect& domain : again->attached())
    again->reconnect(domain.domid);
  (void)again->take_effects();
  again->advance(again->now_ms() + 100'000);
  const store::ConnId socket = again->connect_socket();
  for (const store::Effect& domain : again->attached())
    again->domain_dead(domain.domid);
  check(*again, socket);
}

}  // namespace
}  // namespace ppvmm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ppvmm::fuzz::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}

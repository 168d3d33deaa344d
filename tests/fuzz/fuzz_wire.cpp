/// Fuzzes the wire protocol: the input is a script of events on several connections.
#include "fuzz/script.hpp"
#include "support/message.hpp"

namespace ppvmm::fuzz {
namespace {

using store::ConnId;
using store::DomId;
using store::Machine;

constexpr std::size_t kDomains = 3;

/// Answers everything the machine asks of a shell.
void absorb(Machine& machine) {
  for (const store::Effect& effect : machine.take_effects()) {
    if (effect.kind == store::Effect::Kind::attach_domain) {
      machine.introduced(effect.domid, store::IntroduceResult::attached);
    }
  }
  (void)machine.take_log();
  (void)machine.take_ready();
}

void read_all(Machine& machine, ConnId conn) {
  machine.sent(conn, machine.to_send(conn).size());
}

void run(Script script) {
  Machine machine{small_store()};
  const ConnId socket = machine.connect_socket();
  std::uint64_t now = 0;
  for (DomId domid = 1; domid <= kDomains; ++domid)
    machine.connect_domain(domid, domid, domid);
  while (!script.done()) {
    const std::uint8_t what = script.byte();
    const DomId domid = static_cast<DomId>(1 + what % kDomains);
    const auto found = machine.connection_of(domid);
    const ConnId conn = what % 4 == 0 || !found ? socket : *found;
    switch (what >> 4) {
      case 0:  // raw bytes
        (void)machine.receive(conn, script.bytes(script.byte()));
        break;
      case 1:
        read_all(machine, conn);
        break;
      case 2:
        now += script.byte() * 100U;
        machine.advance(now);
        break;
      case 3:
        machine.domain_dead(domid);
        break;
      case 4:
        machine.reconnect(domid);
        break;
      case 5:
        machine.domain_reborn(domid);
        break;
      case 6:
        machine.domain_shutdown(domid);
        break;
      default: {  // a well-formed request
        const auto type = static_cast<store::MessageType>(script.byte() % 24);
        const std::uint32_t transaction = script.byte() % 4;
        const auto bytes = test::encode(type, what, transaction, script.text(script.byte()));
        (void)machine.receive(conn, bytes);
        break;
      }
    }
    absorb(machine);
  }
  check(machine, socket);
}

}  // namespace
}  // namespace ppvmm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ppvmm::fuzz::run({{reinterpret_cast<const std::byte*>(data), size}});
  return 0;
}

/// Fuzzes the ring page: the input overwrites parts of it between the server's turns.
#include <algorithm>
#include <cstring>

#include "fuzz/script.hpp"
#include "replication/memory.hpp"
#include "replication/primary.hpp"
#include "store/ring.hpp"

namespace ppvmm::fuzz {
namespace {

constexpr store::DomId kGuest = 1;

/// The primary as on a host without backups, and one guest that owns its page.
class Host {
 public:
  Host()
      : primary_{replication::Restored{
                     replication::Replica{store::Machine{small_store()},
                                          replication::Ledger{test::kSmall.slots}, 0},
                     replication::LogTail{}},
                 replication::ReplicaSet{},
                 replication::PrimaryOptions{.geometry = test::kSmall}},
        socket_{machine().connect_socket()} {
    if (!primary_.connect(kGuest, 1, 1, memory_.shared())) __builtin_trap();
  }

  [[nodiscard]] store::Machine& machine() { return primary_.machine(); }
  [[nodiscard]] store::ConnId socket() const { return socket_; }
  [[nodiscard]] store::RingPage& page() {
    return *reinterpret_cast<store::RingPage*>(memory_.bytes().data());
  }
  [[nodiscard]] bool broken() { return machine().broken(*machine().connection_of(kGuest)); }
  /// Do the guest's indexes claim what cannot be? The server goes by its own count of what it took.
  [[nodiscard]] bool impossible() {
    const auto seats = primary_.replica().ledger().seats();
    const replication::Seat& seat = seats.front();
    const std::uint32_t taken = seat.ring.request_base + static_cast<std::uint32_t>(seat.in);
    return page().req_prod - taken > store::kRingBytes;
  }
  void turn() {
    primary_.kick(kGuest);
    primary_.kick_halves();
    while (primary_.run(16) == replication::Primary::Run::more) {
    }
    (void)primary_.take_effects();
    (void)primary_.take_notifications();
    (void)primary_.take_reports();
    (void)machine().take_log();
    (void)machine().take_ready();
  }

 private:
  test::Memory memory_{sizeof(store::RingPage)};
  replication::Primary primary_;
  store::ConnId socket_;
};

void run(Script script) {
  Host host;
  store::RingPage& page = host.page();
  while (!script.done()) {
    const std::size_t offset = (std::size_t{script.byte()} << 8U | script.byte()) % sizeof page;
    const auto bytes = script.bytes(script.byte());
    const std::size_t count = std::min(bytes.size(), sizeof page - offset);
    if (count > 0) std::memcpy(reinterpret_cast<std::byte*>(&page) + offset, bytes.data(), count);
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

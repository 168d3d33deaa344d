/// A primary without backups and one guest on a ring page that the test owns: for hostile pages.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>

#include "replication/memory.hpp"
#include "replication/primary.hpp"
#include "store/ring.hpp"

namespace ppvmm::test {

class RingHost {
 public:
  static constexpr store::DomId kGuest = 1;

  explicit RingHost(store::Options options = {})
      : primary_{replication::Restored{replication::Replica{store::Machine{std::move(options)},
                                                            replication::Ledger{kSmall.slots}, 0},
                                       replication::LogTail{}},
                 replication::ReplicaSet{}, replication::PrimaryOptions{.geometry = kSmall}},
        socket_{machine().connect_socket()} {
    if (!primary_.connect(kGuest, 1, 1, memory_.shared())) std::abort();
  }

  [[nodiscard]] store::Machine& machine() { return primary_.machine(); }
  [[nodiscard]] store::ConnId socket() const { return socket_; }
  /// All of the page, what nobody laid out included.
  [[nodiscard]] std::span<std::byte> bytes() { return memory_.bytes(); }
  [[nodiscard]] store::RingPage& page() {
    return *reinterpret_cast<store::RingPage*>(memory_.bytes().data());
  }
  [[nodiscard]] bool broken() { return machine().broken(*machine().connection_of(kGuest)); }
  /// Do the guest's indexes claim what cannot be? The server goes by its own count of what it took.
  [[nodiscard]] bool impossible() {
    return page().req_prod - primary_.consumed(kGuest).value() > store::kRingBytes;
  }
  void turn() {
    primary_.kick(kGuest);
    while (primary_.run(16) == replication::Primary::Run::more) {
    }
    (void)primary_.take_effects();
    (void)primary_.take_notifications();
    (void)primary_.take_reports();
    (void)machine().take_log();
    (void)machine().take_ready();
  }

 private:
  Memory memory_{4096};
  replication::Primary primary_;
  store::ConnId socket_;
};

}  // namespace ppvmm::test

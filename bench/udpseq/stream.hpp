/// One end of a run: sends its numbered packets at its rate, and counts the other's.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "packet.hpp"

namespace ppvmm::udpseq {

[[nodiscard]] std::uint64_t now_ns();

struct Plan {
  std::uint64_t rate{1000};   ///< Packets per second; 0: this end only listens.
  std::uint64_t count{1000};  ///< Packets.
  std::size_t size{200};      ///< Payload bytes of each.
  std::uint32_t run{};
  std::uint64_t peer_rate{};  ///< What the other end is to send; 0: nothing.
};

class Stream {
 public:
  Stream(int socket, const sockaddr_in& peer, const Plan& plan);

  /// Handles one packet that came from the peer.
  void take(std::span<const std::byte> packet);
  /// Sends what is due. Packets the system has no room for are tried again, never skipped.
  void send_due();
  /// When send_due() has something to do.
  [[nodiscard]] std::uint64_t next_ns() const;
  [[nodiscard]] bool all_sent() const { return sent_ == plan_.count || plan_.rate == 0; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// What came so far. Asks the system what it had no room for.
  [[nodiscard]] const Counter& counter();
  /// The same without asking: cheap.
  [[nodiscard]] const Tally& counter_so_far() const { return counter_.tally(); }
  [[nodiscard]] const Plan& plan() const { return plan_; }

  /// Keeps a journal from now on. Before the first packet.
  void keep_journal(std::uint64_t gap_ns) { journal_.emplace(gap_ns); }
  [[nodiscard]] std::optional<Journal>& journal() { return journal_; }
  /// Sends no further data.
  void stop() { plan_.count = sent_; }

  void ask();
  void answer();
  [[nodiscard]] const std::optional<Report>& report() const { return report_; }

 private:
  [[nodiscard]] bool send(std::span<const std::byte> bytes) const;

  int socket_;
  sockaddr_in peer_;
  Plan plan_;
  std::uint64_t begin_ns_;
  std::uint64_t sent_{};
  std::uint64_t paused_until_ns_{};  ///< The system had no room for a packet.
  std::uint32_t drops_before_{};     ///< The socket is older than the run.
  Counter counter_;
  std::optional<Journal> journal_;
  std::optional<Report> report_;
  std::vector<std::byte> packet_;
};

}  // namespace ppvmm::udpseq

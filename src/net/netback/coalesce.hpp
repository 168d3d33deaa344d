/// Joins TCP segments that came from the wire one after the other into packets of up to 18 pieces,
/// as they were before the sender's card cut them up: what a guest's kernel spends is spent per
/// packet, not per byte. (Linux' generic receive offload does the same.)
///
/// A segment joins the packet before it only if the result says exactly what the two said: same
/// addresses, ports and options, sequence numbers without a gap, same acknowledgement and window,
/// no flag but ACK, PSH and FIN, checksums verified by the card. The order within a flow stays as
/// it is. Nothing is kept beyond flush().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/frame.hpp"
#include "net/switch/packet_headers.hpp"

namespace ppvmm::net {

class Coalescer {
 public:
  struct Statistics {
    std::uint64_t joined{};   ///< Segments that became a part of another.
    std::uint64_t packets{};  ///< Packets that are made of more than one.
  };

  /// Takes a frame from the wire. Frames that are ready to go on are appended to `out`.
  void add(Frame frame, std::vector<Frame>& out);
  /// Appends what is still open.
  void flush(std::vector<Frame>& out);
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  static constexpr std::size_t kFlows = 8;
  static constexpr std::size_t kHeaderMax = 14 + 60 + 60;

  /// A packet that may still grow.
  struct Open {
    Frame frame;
    std::array<std::byte, kHeaderMax> header{};  ///< As its first segment had it.
    PacketHeaders at;
    std::uint32_t next{};     ///< Sequence number that goes on.
    std::uint16_t segment{};  ///< Payload bytes of its first segment.
    std::uint16_t joined{};
    std::byte last_flags{};  ///< TCP flags of its last segment.
    bool full{};             ///< Nothing may join any more.
  };
  struct Segment {
    std::array<std::byte, kHeaderMax> header{};
    PacketHeaders at;
    std::uint16_t payload{};
    bool joinable{};
  };

  [[nodiscard]] static Segment look(const Frame& frame);
  [[nodiscard]] static bool same_flow(const Open& open, const Segment& segment);
  [[nodiscard]] bool join(Open& open, Frame& frame, const Segment& segment);
  void close(Open& open, std::vector<Frame>& out);

  std::array<Open, kFlows> open_;
  std::size_t next_victim_{};
  Statistics statistics_;
};

}  // namespace ppvmm::net

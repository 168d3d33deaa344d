/// What a network card's driver offers to the rest of net_uk. A driver knows its device and nothing
/// else: no policy, no guests, no clock, no Xen.
///
/// Life: made by its factory (drivers.hpp) with the device quiet; start(); transmit(), poll() and
/// the client's calls; stop(). restart() may come at any time after start() succeeded once.
///
/// Failure: a driver never waits for a device without bound, believes no index, length or status
/// the device wrote without a check, and says in health() what it saw. It does not repair itself:
/// whoever watches calls restart(), or throws the driver away and makes a new one.
///
/// Interrupts (as Linux' NAPI has it): on_interrupt() notes the cause and keeps the device from
/// raising another; poll() works; a poll that did less than its budget lets the device raise again.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/frame.hpp"
#include "net/nic/registers.hpp"

namespace ppvmm::net {

using MacAddress = std::array<std::uint8_t, 6>;

/// What the device can do on transmission. What it cannot, the caller does before transmit().
struct NicFeatures {
  bool checksum{};           ///< Completes a blank TCP or UDP checksum.
  bool tso_v4{};             ///< Segments TCP over IPv4.
  bool tso_v6{};             ///< Segments TCP over IPv6.
  std::uint8_t fragments{};  ///< Pieces a frame may have; at most kFragmentsMax.
  std::uint16_t mtu_max{};   ///< Largest layer-3 packet without segmentation, 1500 or more.
};

struct NicLink {
  bool up{};
  bool full_duplex{};
  std::uint32_t speed_mbps{};  ///< 0: not known or link down.

  bool operator==(const NicLink&) const = default;
};

/// Counted since the driver was made, over restarts.
struct NicStatistics {
  std::uint64_t rx_packets{};
  std::uint64_t rx_bytes{};
  std::uint64_t rx_errors{};     ///< The device marked it bad (CRC, length, symbol).
  std::uint64_t rx_malformed{};  ///< A descriptor said what cannot be: hostile or broken device.
  std::uint64_t rx_no_buffer{};  ///< Dropped, or kept out of the ring, for want of a buffer.
  std::uint64_t rx_missed{};     ///< Dropped by the device itself: no descriptor in time.
  std::uint64_t tx_packets{};    ///< Given to the wire.
  std::uint64_t tx_bytes{};
  std::uint64_t tx_full{};     ///< transmit() answered `full`.
  std::uint64_t tx_refused{};  ///< transmit() answered `refused`.
  std::uint64_t interrupts{};
  std::uint64_t link_changes{};
  std::uint64_t restarts{};
};

enum class NicError : std::uint8_t {
  device_gone,   ///< Registers read all ones: unplugged, or its function is off.
  reset_failed,  ///< The device did not come out of its reset in time.
  unsupported,   ///< Not a device, or not a state of one, that this driver can serve.
  no_memory,     ///< The pool has no buffer for a single receive descriptor.
  bad_address,   ///< The device has no usable Ethernet address.
};
[[nodiscard]] std::string_view text_of(NicError error);

enum class TransmitResult : std::uint8_t {
  accepted,  ///< The driver has it; NicClient::sent() brings it back.
  full,      ///< No room now; NicClient::room() tells when to try again. The frame is the caller's.
  refused,   ///< This device can never send it (too long, too many pieces, headers that are none).
};

/// What a driver has seen, to be compared with what was seen a while ago. Costs a few register
/// reads.
struct NicHealth {
  bool present{};       ///< The device answers. False is final until a restart succeeds.
  bool device_error{};  ///< It reported an error, or broke the descriptor protocol.
  bool link_up{};
  std::uint64_t accepted{};   ///< Frames that transmit() took and did not give back.
  std::uint64_t sent{};       ///< Of them, seen done (in order), over restarts.
  std::uint64_t received{};   ///< Frames received, over restarts.
  std::uint32_t tx_head{};    ///< The device's place in the transmit ring.
  std::uint32_t tx_tail{};    ///< Ours.
  std::uint32_t rx_head{};    ///< The device's place in the receive ring.
  std::uint32_t rx_tail{};    ///< Ours.
  std::uint32_t rx_posted{};  ///< Receive buffers the device holds: 0 is deaf.

  /// Frames wait, the link is up, and between `before` and now nothing was sent and the device did
  /// not move: a stuck ring, if enough time lies between.
  [[nodiscard]] bool stuck_since(const NicHealth& before) const {
    return link_up && before.link_up && accepted > sent && before.accepted > before.sent &&
           sent == before.sent && tx_head == before.tx_head;
  }
};

/// Whom a driver tells. Called from poll() only, never from within transmit() or restart().
class NicClient {
 public:
  /// A packet from the wire. Its pieces are the client's now.
  virtual void received(Frame frame) = 0;
  /// The wire has it (the device wrote the descriptor back). In order of acceptance.
  virtual void sent(Frame frame) = 0;
  /// After a `full`: there is room again.
  virtual void room() = 0;
  virtual void link_changed(NicLink link) = 0;

 protected:
  ~NicClient() = default;
};

class Nic {
 public:
  virtual ~Nic() = default;
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  /// The device's family, for logs: "82574L", "virtio-net".
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual NicFeatures features() const = 0;
  [[nodiscard]] virtual MacAddress mac() const = 0;

  /// Resets the device and brings receiver and transmitter up. A link that is up stays up: the
  /// link is only negotiated when there is none.
  [[nodiscard]] virtual std::expected<void, NicError> start() = 0;
  /// The device does no DMA any more when this returns without an error, and all buffers are back
  /// in the pool. Frames not seen sent are given to `unsent`, in order of acceptance.
  virtual std::expected<void, NicError> stop(std::vector<Frame>& unsent) = 0;
  /// stop() and start() in one, keeping the link: the device's function is reset, its rings made
  /// anew, its settings (mode, multicast, interrupts) brought back. `unsent` gets the frames that
  /// were accepted and not seen sent, in order; a few of them may have reached the wire. They are
  /// to be transmitted again by the caller, who then calls poll(): a room() that was owed comes
  /// from there.
  [[nodiscard]] virtual std::expected<void, NicError> restart(std::vector<Frame>& unsent) = 0;

  /// Takes the frame if the answer is `accepted`, leaves it as it is otherwise. It need not be on
  /// its way before flush().
  [[nodiscard]] virtual TransmitResult transmit(Frame&& frame) = 0;
  /// Tells the device of all that was transmitted since the last time.
  virtual void flush() = 0;
  /// An interrupt of the device came. True if poll() is to be called.
  [[nodiscard]] virtual bool on_interrupt() = 0;
  /// Handles up to `budget` > 0 received frames, and what was sent. Returns how many were received;
  /// fewer than `budget`: all done, and the device may interrupt again.
  virtual std::size_t poll(std::size_t budget) = 0;

  /// As of the last poll() or start().
  [[nodiscard]] virtual NicLink link() const = 0;
  /// Everything on the wire, or only what is for us, for all, and for our groups.
  virtual void set_promiscuous(bool on) = 0;
  /// Groups to receive. May let others pass as well (hash filters).
  virtual void set_multicast(std::span<const MacAddress> groups) = 0;
  /// Largest layer-3 packet to send and receive, 1500 at first. Takes effect at once; false above
  /// features().mtu_max.
  [[nodiscard]] virtual bool set_mtu(std::uint16_t mtu) = 0;

  [[nodiscard]] virtual NicStatistics statistics() = 0;
  [[nodiscard]] virtual NicHealth health() = 0;

 protected:
  Nic() = default;
};

}  // namespace ppvmm::net

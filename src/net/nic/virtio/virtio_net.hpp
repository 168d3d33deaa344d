/// virtio-net, modern PCI transport: one pair of queues, and the control queue where offered. One
/// interrupt for everything.
///
/// Memory: three pages for each of the two queues, one of packet headers for what is sent, and
/// three for the control queue, whose third page carries its commands as well. Receive buffers are
/// pool pages; packets larger than one span several (mergeable buffers).
#pragma once

#include <array>
#include <optional>

#include "net/nic/drivers.hpp"
#include "net/nic/virtio/queue.hpp"
#include "net/nic/virtio/regs.hpp"

namespace ppvmm::net::nic::virtio {

/// A part of a base address register's block, as a capability describes it.
struct Window {
  Registers* registers{};
  std::size_t offset{};
  std::size_t bytes{};
};

/// Base address registers that the capabilities name: bit n is register n.
[[nodiscard]] std::uint8_t bars_of(std::span<const VendorCapability> capabilities);

class VirtioNet final : public Nic {
 public:
  static constexpr std::uint16_t kMtuMax = 9000;

  [[nodiscard]] static std::expected<std::unique_ptr<Nic>, NicError> create(
      const Resources& resources);
  ~VirtioNet() override;

  [[nodiscard]] std::string_view name() const override { return "virtio-net"; }
  [[nodiscard]] NicFeatures features() const override;
  [[nodiscard]] MacAddress mac() const override { return mac_; }
  [[nodiscard]] std::expected<void, NicError> start() override;
  std::expected<void, NicError> stop(std::vector<Frame>& unsent) override;
  [[nodiscard]] std::expected<void, NicError> restart(std::vector<Frame>& unsent) override;
  [[nodiscard]] TransmitResult transmit(Frame&& frame) override;
  void flush() override;
  [[nodiscard]] bool on_interrupt() override;
  std::size_t poll(std::size_t budget) override;
  [[nodiscard]] NicLink link() const override { return link_; }
  void set_promiscuous(bool on) override;
  void set_multicast(std::span<const MacAddress> groups) override;
  [[nodiscard]] bool set_mtu(std::uint16_t mtu) override;
  [[nodiscard]] NicStatistics statistics() override { return statistics_; }
  [[nodiscard]] NicHealth health() override;

 private:
  static constexpr std::size_t kHeaderSlot = 16;

  explicit VirtioNet(const Resources& resources);

  // start.cpp
  [[nodiscard]] std::expected<void, NicError> find_windows(const Resources& resources);
  [[nodiscard]] std::uint64_t device_features();
  void write_features(std::uint64_t features);
  [[nodiscard]] std::uint8_t device_status();
  void add_status(std::uint8_t bits);
  [[nodiscard]] std::expected<void, NicError> reset();
  [[nodiscard]] std::expected<void, NicError> agree();
  [[nodiscard]] std::expected<void, NicError> set_up_queue(std::uint16_t number, Queue& queue,
                                                           std::uint16_t most);
  void notify(std::uint16_t number);
  [[nodiscard]] bool order(std::uint8_t command, bool on);
  void apply_filters();
  void look_at_link(bool tell);
  void take_unsent(std::vector<Frame>& unsent);

  // rescue.cpp: what was received before a reset
  void rescue();
  void hand_over(Frame frame);

  // data.cpp
  void refill();
  std::size_t receive(std::size_t budget);
  [[nodiscard]] bool take_piece(const Queue::Used& used);
  [[nodiscard]] bool begin_packet(Buffer& buffer, std::uint32_t length);
  void end_packet();
  [[nodiscard]] bool fill_header(const Frame& frame, PacketHeader& header) const;
  void reap();

  BufferPool* pool_;
  NicClient* client_;
  Window common_;
  Window notify_;
  Window device_;
  std::uint32_t notify_multiplier_{};
  std::array<std::size_t, 3> notify_offsets_{};  ///< By queue, within the notification window.
  std::uint64_t features_{};

  Queue receive_queue_;
  Queue transmit_queue_;
  Queue control_queue_;
  DmaPage header_page_;

  MacAddress mac_{};
  NicLink link_{};
  std::uint16_t mtu_{1500};
  bool promiscuous_{};
  bool all_multicast_{};
  bool started_{};
  bool gone_{};
  bool device_error_{};

  std::array<Buffer, kQueueEntriesMax> receive_buffers_;  ///< By descriptor.
  Frame assembling_;
  PacketHeader assembling_header_{};
  std::uint16_t pieces_left_{};  ///< Of the packet under way.
  bool discarding_{};
  /// Frames that were received when the device was reset, in order, until the next poll().
  std::array<Frame, kQueueEntriesMax> rescued_;
  std::size_t rescued_count_{};
  bool rescuing_{};
  bool inherited_{};  ///< The queues are an earlier driver's.

  /// Frames in order of acceptance, in a circle; what the device uses out of order waits for its
  /// turn.
  struct Outgoing {
    Frame frame;
    bool done{};
  };
  std::array<Outgoing, kQueueEntriesMax> outgoing_;
  std::size_t outgoing_first_{};
  std::size_t outgoing_count_{};
  std::array<std::uint16_t, kQueueEntriesMax> outgoing_of_{};  ///< By head descriptor.
  bool wants_room_{};

  NicStatistics statistics_;
  std::uint64_t accepted_{};
  std::uint64_t sent_{};
};

}  // namespace ppvmm::net::nic::virtio

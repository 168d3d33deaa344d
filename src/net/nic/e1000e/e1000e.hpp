/// Intel 82574L ("e1000e" in Linux and QEMU): one receive and one transmit queue, one MSI.
///
/// Memory: a page of descriptors each way, and a slot per transmit descriptor for the headers that
/// segmentation rewrites. Receive buffers are pool pages; the device always holds a full ring of
/// them, for a received frame is only taken out when another buffer takes its place.
///
/// The PHY is never touched: it negotiates by itself at power-up and keeps its link through the
/// MAC's reset, which is what makes restart() fast. What the device had received when it is reset
/// is not lost: it lies in the ring, and is handed over by the first poll() afterwards, even by
/// another driver object over the same pages. Lost are frames that arrive while the device is in
/// its reset, and on real hardware those in its internal FIFO.
#pragma once

#include <array>

#include "net/nic/drivers.hpp"
#include "net/nic/e1000e/regs.hpp"

namespace ppvmm::net::nic::e1000e {

inline constexpr std::uint16_t kVendor = 0x8086;
inline constexpr std::uint16_t kDevice82574 = 0x10D3;

class E1000e final : public Nic {
 public:
  static constexpr std::size_t kRing = 256;  ///< One page of descriptors.
  /// Interrupts are at least this far apart.
  static constexpr std::uint32_t kInterruptGapNs = 50'000;
  static constexpr std::uint16_t kMtuMax = 9000;

  [[nodiscard]] static std::expected<std::unique_ptr<Nic>, NicError> create(
      const Resources& resources);

  /// Quiets the device, if it answers.
  ~E1000e() override;

  [[nodiscard]] std::string_view name() const override { return "82574L"; }
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
  [[nodiscard]] NicStatistics statistics() override;
  [[nodiscard]] NicHealth health() override;

 private:
  static constexpr std::size_t kHeaderSlot = 128;
  static constexpr std::size_t kHeaderPages = kRing * kHeaderSlot / kBufferBytes;
  static_assert(2 + kHeaderPages <= kDriverPages);

  explicit E1000e(const Resources& resources);

  [[nodiscard]] std::uint32_t read(Reg reg) {
    return registers_->read32(static_cast<std::size_t>(reg));
  }
  void write(Reg reg, std::uint32_t value) {
    registers_->write32(static_cast<std::size_t>(reg), value);
  }
  [[nodiscard]] bool wait_for(Reg reg, std::uint32_t mask, std::uint32_t value,
                              std::uint32_t microseconds);

  // start.cpp: bringing the device up and down
  [[nodiscard]] std::expected<void, NicError> quiet();
  [[nodiscard]] std::expected<void, NicError> reset();
  [[nodiscard]] std::expected<void, NicError> read_mac();
  [[nodiscard]] std::expected<void, NicError> fill_receive_ring();
  void set_up_receive();
  void set_up_transmit();
  void write_rctl();
  void write_multicast();
  void look_at_link(bool tell);
  void take_unsent(std::vector<Frame>& unsent);

  // rescue.cpp: what was received before a reset
  void rescue();
  void rescue_own();
  void rescue_inherited();

  // receive.cpp
  std::size_t receive(std::size_t budget);
  void take_piece(const ReceiveDescriptor& done, std::size_t index);
  void hand_over(Frame frame);
  void give_to_device(std::size_t index);
  void refill();

  // transmit.cpp
  struct Plan;
  [[nodiscard]] TransmitResult plan(const Frame& frame, Plan& plan);
  void put_context(const Plan& plan);
  void put_segment_header(const Frame& frame, const Plan& plan);
  void put_data(DmaAddress address, std::size_t length, const Plan& plan, bool last);
  void reap();
  [[nodiscard]] std::size_t transmit_space() const;

  Registers* registers_;
  BufferPool* pool_;
  NicClient* client_;
  DmaPage receive_page_;
  DmaPage transmit_page_;
  std::span<const DmaPage> header_pages_;

  MacAddress mac_{};
  NicLink link_{};
  std::uint16_t mtu_{1500};
  bool promiscuous_{};
  std::array<std::uint32_t, kMtaWords> multicast_{};
  bool started_{};
  bool gone_{};
  bool device_error_{};
  bool link_pending_{};
  bool masked_{};  ///< By on_interrupt(), until poll() has done all.

  std::array<Buffer, kRing> receive_buffers_;
  std::size_t receive_next_{};
  std::size_t receive_tail_{};
  Frame assembling_;   ///< Pieces of a frame that has not ended.
  bool discarding_{};  ///< The rest of the frame under way is dropped.
  /// Frames that were received when the device was reset, in order, until the next poll().
  std::array<Frame, kRing> rescued_;
  std::size_t rescued_count_{};
  bool rescuing_{};
  bool inherited_{};       ///< The ring is an earlier driver's.
  bool inherited_long_{};  ///< And had frames of several buffers.

  /// By the frame's last descriptor; the others are empty.
  std::array<Frame, kRing> transmit_frames_;
  std::size_t transmit_next_{};             ///< Where the next descriptor goes.
  std::size_t transmit_oldest_{};           ///< First descriptor that is not done.
  std::size_t transmit_told_{};             ///< Tail as the device knows it.
  std::array<std::uint64_t, 2> context_{};  ///< What the last context descriptor said.
  bool context_valid_{};
  bool wants_room_{};

  NicStatistics statistics_;
  std::uint64_t accepted_{};
  std::uint64_t sent_{};
};

}  // namespace ppvmm::net::nic::e1000e
